/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>
#include <sys/types.h>

/*
 * A file name as QEMU says it, resolved as QEMU would: in its root and its
 * current directory; and what is "self" is QEMU, not who looks.
 *
 * Returns 0, or -1 with errno.
 */
int qemu_name_stat(pid_t pid, const char *name, struct stat *info);
