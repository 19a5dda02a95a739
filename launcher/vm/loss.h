/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * A lock that goes while it is held. The driver's lost_fd says that one may have
 * gone (lock_driver.h); a verify on the lock thread says whether. Nothing tells of
 * a QEMU that unlocks what it has inherited, so that is looked at whenever the
 * supervisor is awake anyway: an event of QEMU's, a command of a client's.
 */

void loss_init(struct vm *vm);

/* Look whether the locks are still ours, unless that is done already. Posts SUP_EV_LOCK_LOST. */
void loss_look(struct vm *vm);

/*
 * Watch it from now on. -1, or what is watched already: nothing changes.
 *
 * Posts SUP_EV_LOCK_LOST.
 */
void loss_watch(struct vm *vm, int lost_fd);
