; SPDX-License-Identifier: LGPL-2.1-or-later
; a line on the serial line that begins as an emergency's of sd-daemon(3) does
bits 16
org 0x7c00
    cli
    xor ax,ax
    mov ds,ax
    mov si,text
    mov dx,0x3f8
.c: lodsb
    test al,al
    jz .h
    out dx,al
    jmp .c
.h: hlt
    jmp .h
text: db '<0>of the guest',10,0
times 510-($-$$) db 0
dw 0xaa55
