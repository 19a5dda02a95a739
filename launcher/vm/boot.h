/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/* From the fork to the guest's first instruction. */

/* A start that cannot go on: what to say and what to leave with. */
void boot_note_refusal(struct vm *vm, int status, const struct error *err);

/* A start that cannot go on, whatever QEMU itself says. */
void boot_fail(struct vm *vm, const struct error *err);

/* Adopt the child's locks, let it exec QEMU, connect to its monitor. */
void boot_admit(struct vm *vm);

/* Say why nothing was started. */
void boot_refuse(struct vm *vm);

/* Compare QEMU's block graph with what is locked; lock and plant what is missing. */
void boot_check(struct vm *vm);
