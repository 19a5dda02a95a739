/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * A guest that we hold back and that has not run yet: nobody but us would ever let it
 * go on, so without its supervisor QEMU would stand there with its disks locked, for
 * nothing. A deadman kills it then, whatever --on-supervisor-death says of a VM that runs.
 * PDEATHSIG would do it for a child, but nobody could take it back when the guest runs.
 */

/* Before QEMU is let go: from here on it does not outlive us. */
void unborn_watch(struct vm *vm);

/* The state is another one: once it has run, or shall wait for its user, QEMU may. */
void unborn_settle(struct vm *vm);

/* After each SIGCHLD. */
void unborn_look(struct vm *vm);
