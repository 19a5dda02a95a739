; SPDX-License-Identifier: LGPL-2.1-or-later
; (d8) ACPI S3 on i440fx: PM1a_CNT 0x604 <- SLP_EN|SLP_TYP=1 (0x2400) => SUSPEND
bits 16
org 0x7c00
    mov dx,0x604
    mov ax,0x2400
    out dx,ax
.h: hlt
    jmp .h
times 510-($-$$) db 0
dw 0xaa55
