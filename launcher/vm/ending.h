/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/* How a VM ends: by request, by policy, by QEMU's death. */

/* --on-lock-failure: pause says nothing more, poweroff kills QEMU. */
void ending_policy(struct vm *vm);

/* Pass the end request on to QEMU, as it came: a signal or a 'quit'. */
void ending_forward(struct vm *vm);

/*
 * The same while nothing is held. A QEMU that is deactivated writes nothing when
 * it ends; any other would write its caches into what may be somebody else's
 * disk by now, and is killed.
 */
void ending_idle(struct vm *vm);

void ending_kill(struct vm *vm);

/* QEMU is dead: wait for its last write, give the locks back, stop the loop. */
void ending_finish(struct vm *vm);

/* The VM's directory, and our socket if it was put elsewhere. */
void ending_remove_files(struct vm *vm);

/*
 * After the loop: the end record, nothing else left behind, and QEMU's own end
 * as ours.
 *
 * Returns the exit status, or dies of the signal that QEMU died of.
 */
int ending_leave(struct vm *vm);
