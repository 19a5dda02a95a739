/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

/*
 * Ownership that ends with the scope. A variable that is marked owns what it
 * holds; take_fd() and take_ptr() move it out, so that the scope frees nothing.
 */
#define _cleanup_(f) __attribute__((cleanup(f)))

static inline void freep(void *p)
{
	free(*(void **)p);
}

static inline void closep(int *fd)
{
	int saved = errno;

	if (*fd >= 0)
		close(*fd);
	errno = saved;
}

static inline void closedirp(DIR **dir)
{
	int saved = errno;

	if (*dir)
		closedir(*dir);
	errno = saved;
}

static inline int take_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

#define take_ptr(p)                             \
	({                                      \
		__typeof__(p) *_owner = &(p);   \
		__typeof__(p) _taken = *_owner; \
		*_owner = NULL;                 \
		_taken;                         \
	})
