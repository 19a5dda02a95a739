/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * A lock that goes while it is held. The driver's lost_fd says that one may have
 * gone (lock_driver.h); a verify on the lock thread says whether.
 */

/*
 * Watch it from now on. -1, or what is watched already: nothing changes.
 *
 * Posts SUP_EV_LOCK_LOST.
 */
void loss_watch(struct vm *vm, int lost_fd);
