; SPDX-License-Identifier: LGPL-2.1-or-later
; Write "NAME, counter" to LBA 1 of the first hard disk (drive 0x80) for ever by INT 13h AH=43h.
; The sector: 16 bytes NAME, then a little-endian 32-bit counter that starts at 1.
; NAME stands at byte 416 of the boot sector (clear of the partition table), so that a test can
; patch it; PACE behind it: 0 writes as fast as it can, else 250 times a second, which leaves the
; host its processors. Booted from a floppy of its own it shares drive 0x80 with other writers by name.
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
    cld
    mov di,buf
    mov cx,256
    rep stosw
    mov si,name
    mov di,buf
    mov cx,8
    rep movsw
    mov al,0x34    ; channel 0 of the timer, which interrupts
    out 0x43,al
    mov ax,4773    ; of 1193182 Hz: 250 times a second
    out 0x40,al
    mov al,ah
    out 0x40,al
.loop:
    inc dword [buf+16]
    mov si,dap
    mov ax,0x4300
    mov dl,0x80
    int 0x13
    cmp byte [pace],0
    je .loop
    hlt
    jmp .loop
align 4
dap: db 16,0
     dw 1          ; sectors
     dw buf,0      ; offset, segment
     dq 1          ; LBA 1
times 416-($-$$) db 0
name: db 'unnamed',0,0,0,0,0,0,0,0,0
pace: db 1
times 510-($-$$) db 0
dw 0xaa55
buf equ 0x8000
