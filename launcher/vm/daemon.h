/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * QEMU may be another process than the one that was started: with -daemonize it
 * forks twice, and the started one leaves with its status; or that was a script,
 * which has QEMU as a child. QEMU is the process that answers on the monitor: the
 * kernel says who has sent the greeting. Until then, and after the end of one that
 * a script may replace, it is the started process as far as we know.
 *
 * The end is when both are dead; a script's only when nobody is left that was given
 * the monitor, since a script may leave its QEMU behind.
 */

/* Watch the started process, vm->child. 0 or -errno. */
int daemon_watch(struct vm *vm);
void daemon_watch_stop(struct vm *vm);

/*
 * Wait for the first word on @fd, a connection to the monitor with SO_PASSCRED,
 * which is taken over; then know the process (vm->child) and hand the connection
 * on. 0 or -errno with a sentence.
 */
int daemon_await(struct vm *vm, int fd, struct error *err);
