; SPDX-License-Identifier: LGPL-2.1-or-later
; (d3) APM BIOS power off through INT 15h AX=5307h (SeaBIOS implements it)
bits 16
org 0x7c00
    mov ax,0x5301
    xor bx,bx
    int 0x15
    mov ax,0x530e
    xor bx,bx
    mov cx,0x0102
    int 0x15
    mov ax,0x5307
    mov bx,1
    mov cx,3
    int 0x15
.h: hlt
    jmp .h
times 510-($-$$) db 0
dw 0xaa55
