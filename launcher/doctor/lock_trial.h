/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * Really lock: one process by an open file description, a second one by a path, in
 * every way that the file driver and libvirt's virtlockd do, and see what is
 * refused.
 */
struct lock_trials {
	int code;             /* 0: tried; -errno: could not be, or the file system has no locks */
	const char *broken;   /* what did not come out as it must, static; NULL: all did */
	bool without_libvirt; /* only virtlockd's kind of lock is not seen, or not refused */
};

/*
 * @fd		the file, open for reading and writing; nothing of it is locked
 * @path	the same file, for the second process
 */
struct lock_trials lock_trials_run(int fd, const char *path);
