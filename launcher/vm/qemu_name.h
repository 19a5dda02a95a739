/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * A file name as QEMU says it, resolved as QEMU would: in its root and its
 * current directory; and what is "self" is QEMU, not who looks.
 *
 * Returns 0, or -1 with errno.
 */
int qemu_name_stat(pid_t pid, const char *name, struct stat *info);

/* Is it a name of a process's own things ("/dev/fd/N", "/proc/self/...")? */
bool qemu_name_is_own(const char *name);
