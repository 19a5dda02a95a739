; SPDX-License-Identifier: LGPL-2.1-or-later
; (d2) ACPI S5 on i440fx/piix4 by PM1a_CNT at 0x604 (PMBASE 0x600 set by SeaBIOS): SLP_EN|SLP_TYP(0)=0x2000
bits 16
org 0x7c00
    mov dx,0x604
    mov ax,0x2000
    out dx,ax
.h: hlt
    jmp .h
times 510-($-$$) db 0
dw 0xaa55
