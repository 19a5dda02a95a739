/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * Descriptors that whoever started us has given us, for QEMU: it will have them
 * under the same numbers. Ours are close-on-exec and nobody else's business.
 */

bool inherited_is(int fd);

/* The one that "/dev/fd/N" and its like mean, or -1. */
int inherited_find(const char *name);

/*
 * The name of the file that it is open on.
 *
 * Returns the path, the caller's; NULL: it has none by which others could open it
 * (or no memory, and then errno is ENOMEM).
 */
char *inherited_path(int fd);
