/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#define FDINFO_MAX 1024 /* the lock lines stand at the top */

/*
 * The text of /proc/PID/fdinfo/FD: the only place where the kernel says whose
 * an open file description lock is.
 *
 * @at, @name	as in openat()
 *
 * Returns 0 or -errno.
 */
int fdinfo_read(int at, const char *name, char text[static FDINFO_MAX]);

/* The lock that this description has on one byte: F_WRLCK, F_RDLCK or F_UNLCK (pure). */
int fdinfo_lock_type(const char *text, off_t byte);
