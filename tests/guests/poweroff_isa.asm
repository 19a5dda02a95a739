; SPDX-License-Identifier: LGPL-2.1-or-later
; (d1) exit by isa-debug-exit: -device isa-debug-exit,iobase=0xf4,iosize=1 ; exit code = (val<<1)|1
bits 16
org 0x7c00
    mov dx,0xf4
    mov al,0x10
    out dx,al
.h: hlt
    jmp .h
times 510-($-$$) db 0
dw 0xaa55
