; SPDX-License-Identifier: LGPL-2.1-or-later
; (b) write one sector to LBA 8 of drive DL (the boot drive) with INT 13h AH=43h, report status on COM1:
; 'K' ok / 'E' error, then cli;hlt for ever
bits 16
org 0x7c00
    cli
    xor ax,ax
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov sp,0x7c00
    sti
    mov [drv],dl
    mov di,0x8000
    mov cx,256
    mov ax,0x5aa5
    cld
    rep stosw
    mov si,dap
    mov ax,0x4300
    mov dl,[drv]
    int 0x13
    mov al,'K'
    jnc .out
    mov al,'E'
.out:
    mov dx,0x3f8
    out dx,al
.h: hlt
    jmp .h
drv: db 0
align 4
dap: db 16,0
     dw 1
     dw 0x8000,0
     dq 8
times 510-($-$$) db 0
dw 0xaa55
