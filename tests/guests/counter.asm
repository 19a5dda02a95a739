; SPDX-License-Identifier: LGPL-2.1-or-later
; (c) spin: write an increasing 32-bit counter to LBA 1 of the boot drive by INT 13h AH=43h, for ever.
; the counter also goes to COM1 as raw bytes every 256th time (optional)
bits 16
org 0x7c00
start:
    cli
    xor ax,ax
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov sp,0x7c00
    sti
    mov [drv],dl
.loop:
    inc dword [buf]
    mov si,dap
    mov ax,0x4300
    mov dl,[drv]
    int 0x13
    jc .err
    jmp .loop
.err:
    inc dword [errs]
    mov al,'E'
    mov dx,0x3f8
    out dx,al
    jmp .loop
drv: db 0
errs: dd 0
align 4
dap: db 16,0
     dw 1          ; sectors
     dw buf,0      ; off,seg
     dq 1          ; LBA 1
times 510-($-$$) db 0
dw 0xaa55
buf equ 0x8000
