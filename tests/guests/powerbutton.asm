; SPDX-License-Identifier: LGPL-2.1-or-later
; as poweroff_acpi, once the power button was pressed: PM1_EN (0x602) lets PM1_STS (0x600) tell, bit 8 of both
bits 16
org 0x7c00
    mov dx,0x602
    mov ax,0x100
    out dx,ax
    mov dx,0x3f8
    mov al,'R'
    out dx,al
    mov dx,0x600
.w: sti
    hlt
    in ax,dx
    test ah,1
    jz .w
    mov dx,0x604
    mov ax,0x2000
    out dx,ax
.h: hlt
    jmp .h
times 510-($-$$) db 0
dw 0xaa55
