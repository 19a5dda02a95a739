; SPDX-License-Identifier: LGPL-2.1-or-later
; (b') like write1 but loops over LBA 8.. of the SECOND bios disk (0x81), never stops; used for ENOSPC/blkdebug on a data disk
bits 16
org 0x7c00
    cli
    xor ax,ax
    mov ds,ax
    mov es,ax
    mov ss,ax
    mov sp,0x7c00
    sti
.loop:
    inc dword [0x8000]
    mov si,dap
    mov ax,0x4300
    mov dl,0x81
    int 0x13
    mov al,'K'
    jnc .out
    mov al,'E'
.out:
    mov dx,0x3f8
    out dx,al
    inc dword [lba]
    and dword [lba],0x7ff
    jmp .loop
align 4
dap: db 16,0
     dw 1
     dw 0x8000,0
lba: dq 8
times 510-($-$$) db 0
dw 0xaa55
