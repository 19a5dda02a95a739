/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/lock_driver.h"

/* A holder of whom the kernel has told the pid: adds the program's name, if it can be seen. */
void holder_from_pid(pid_t pid, struct lock_holder *ret);

/*
 * Look through the open files of all processes that we may look at for one that
 * holds this file against @mode. Takes milliseconds to half a second.
 *
 * Returns true with @ret's process, pid and source.
 */
bool holder_scan(
	const struct resource_identity *id, enum resource_mode mode, struct lock_holder *ret);
