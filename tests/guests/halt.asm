; SPDX-License-Identifier: LGPL-2.1-or-later
; (d5) just halt
bits 16
org 0x7c00
    cli
.h: hlt
    jmp .h
times 510-($-$$) db 0
dw 0xaa55
