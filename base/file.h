/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <dirent.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * Read a small text file whole.
 *
 * @at, @name	as in openat(); links are followed only where the caller's
 *		directory is trusted: pass O_NOFOLLOW in @flags otherwise
 * @max		bytes; a longer file is -EFBIG
 * @ret		NUL-terminated, the caller's; @ret_len (may be NULL) without the NUL
 *
 * Anything but a regular file (a FIFO would block) is -EINVAL, and was not opened:
 * somebody may be at its other end. Returns 0 or -errno.
 */
int file_read_at(int at, const char *name, int flags, size_t max, char **ret, size_t *ret_len);

/*
 * Replace a file in one step: a reader sees the old text or the new, never a
 * part. The text is not forced to the disk (what it describes dies with the
 * host's memory too); a full file system leaves the old file.
 *
 * Returns 0 or -errno.
 */
int file_replace_at(int at, const char *name, const char *text, size_t len, mode_t mode);

/*
 * Make a directory, or take the one that is there if it is a directory (not a
 * link), ours, and closed to others' writing.
 *
 * Returns a descriptor of it, or -errno with a sentence.
 */
int file_open_dir(int at, const char *name, mode_t mode, struct error *err);

/* The same checks on a directory that must be there already. */
int file_look_dir(int at, const char *name, struct error *err);

/* mkdir -p for what lies above; the last part is file_open_dir's business. 0 or -errno. */
int file_make_parents(const char *path, mode_t mode);

/* What lies in a directory, for readdir(); to be closed by closedir(). NULL with errno. */
DIR *file_list_at(int at, const char *name);
