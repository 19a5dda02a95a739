/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * -daemonize: QEMU forks twice, the started process leaves with its status, and
 * what goes on is a process that nobody knows. It is the one that answers on the
 * monitor: the kernel says who has sent the greeting.
 */

/*
 * Wait for the first word on @fd, a connection to the monitor with SO_PASSCRED,
 * which is taken over; then know the process (vm->child) and hand the connection
 * on. 0 or -errno with a sentence.
 */
int daemon_await(struct vm *vm, int fd, struct error *err);

/* The started process has gone. False: that is no end, QEMU has left it behind. */
bool daemon_is_end(struct vm *vm);
