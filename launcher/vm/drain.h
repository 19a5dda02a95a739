/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * From STOP to "nothing of this VM can write any more". QEMU says STOP before
 * it drains and flushes; a command that is sent after STOP has come, and is
 * answered, is the proof that the guest's writes have ended. Then jobs and
 * exports, which go on writing, and the deactivation, which makes QEMU let go
 * of its own image locks and caches.
 *
 * Ends with one of SUP_EV_DRAINED, _KEPT (state.held_because says why),
 * _NOT_STOPPED. It may take as long as the storage takes.
 */
void drain_start(struct vm *vm);

/* Forget the drain (and a saving) that is under way: its answers count no more. */
void drain_abort(struct vm *vm);
