/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "locking/resource.h"

/*
 * Open an image to lock it, for reading or (an exclusive lock) for writing too. Only regular files
 * and block devices: what a path names is asked before it is opened (to open a FIFO, a watchdog or
 * a tape is to use it), and once more after.
 *
 * @ret		whose file it is
 *
 * Returns the descriptor, or -errno with a sentence and its exit status.
 */
int file_open(const char *path, bool write, struct resource_identity *ret, struct error *err);

/* The checks and the identity alone, of what somebody else has opened. 0 or -errno. */
int file_open_check(const char *path, int fd, struct resource_identity *ret, struct error *err);

/*
 * The same path again, for a second description of what file_open() has just
 * opened: the caller compares the identities.
 */
int file_open_again(const char *path, bool write, struct resource_identity *ret, struct error *err);
