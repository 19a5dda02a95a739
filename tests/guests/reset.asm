; SPDX-License-Identifier: LGPL-2.1-or-later
; (d4) reset via keyboard controller
bits 16
org 0x7c00
    mov al,0xfe
    out 0x64,al
.h: hlt
    jmp .h
times 510-($-$$) db 0
dw 0xaa55
