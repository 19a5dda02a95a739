/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * What QEMU's filter kills waits, and is told of to the supervisor (sandbox/notice.h):
 * here it is named, and killed.
 *
 * @listener	taken over
 */
void sandbox_watch_start(struct vm *vm, int listener);

/* Say so, if the kernel itself has killed QEMU for a call: @status as vm_state's. */
void sandbox_watch_explain(const struct vm *vm, int status);
