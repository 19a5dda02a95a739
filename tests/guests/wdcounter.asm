; SPDX-License-Identifier: LGPL-2.1-or-later
; arms ib700 (2 s) then writes an increasing counter to LBA 1 for ever; [re-armed never]
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
    mov dx,0x443
    mov al,14
    out dx,al
.loop:
    inc dword [buf]
    mov si,dap
    mov ax,0x4300
    mov dl,[drv]
    int 0x13
    jmp .loop
drv: db 0
align 4
dap: db 16,0
     dw 1
     dw buf,0
     dq 1
times 510-($-$$) db 0
dw 0xaa55
buf equ 0x8000
