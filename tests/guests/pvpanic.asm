; SPDX-License-Identifier: LGPL-2.1-or-later
; (d7) isa pvpanic: -device pvpanic ; OUT 0x505, 1 => GUEST_PANICKED
bits 16
org 0x7c00
    mov dx,0x505
    mov al,1
    out dx,al
.h: hlt
    jmp .h
times 510-($-$$) db 0
dw 0xaa55
