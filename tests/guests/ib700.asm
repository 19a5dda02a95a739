; SPDX-License-Identifier: LGPL-2.1-or-later
; (a) arm the ib700 watchdog: OUT 0x443, n ; n indexes the time map (30,28,...,2,0 s): 14 => 2 s, 15 => 0 s
bits 16
org 0x7c00
    mov dx,0x443
    mov al,14
    out dx,al
    mov al,'W'
    mov dx,0x3f8
    out dx,al
    sti
.h: hlt
    jmp .h
times 510-($-$$) db 0
dw 0xaa55
