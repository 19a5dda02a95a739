; SPDX-License-Identifier: LGPL-2.1-or-later
; (d6) triple fault (reset; with -no-reboot => SHUTDOWN guest-reset)
bits 16
org 0x7c00
    cli
    lidt [idt]
    int3
idt: dw 0
     dd 0
times 510-($-$$) db 0
dw 0xaa55
