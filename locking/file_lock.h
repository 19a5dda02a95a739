/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <fcntl.h>

#include "locking/resource.h"

/*
 * The bytes of an image that stand for its use, as open file description locks:
 *
 *	0	everybody, libvirt's virtlockd too: written by an exclusive user,
 *		read by shared writers and readers
 *	2	the guard: the same type again, on a second description that QEMU
 *		never has, so that a QEMU that was taken over cannot let go of it
 *	3, 4	read by shared writers / by readers; each then tests that the
 *		other's byte is free. On both descriptions. A POSIX lock on byte
 *		0 is virtlockd's shared writer, so readers test that too
 *
 *	5, 6	on a whole disk's lock file only: read by writers / readers of its
 *		partitions, who go with each other; what is one disk's business
 *		(two users of one partition) is that partition's lock file's
 *
 * Never byte 1 (libvirt's labels), nor 100-163 and 200-263 (QEMU's own).
 */
enum file_use {
	FILE_USE_READER = RESOURCE_READER,
	FILE_USE_SHARED = RESOURCE_SHARED,
	FILE_USE_EXCLUSIVE = RESOURCE_EXCLUSIVE,
	/* of the lock file of a disk whose partition is used */
	FILE_USE_PART_READER,
	FILE_USE_PART_WRITER,
	FILE_N_USES,
};

static inline enum file_use file_use_of(enum resource_mode mode)
{
	return (enum file_use)mode;
}

/* Does it need a descriptor that can write: for a write lock, or to leave a mark? */
bool file_use_writes(enum file_use use);

/* Of a lock file: shared writers, too, leave one there. */
bool file_use_marks(enum file_use use);

enum file_line {
	FILE_LINE_LIFE,  /* the description that QEMU inherits: bytes 0 and 3 or 4 */
	FILE_LINE_GUARD, /* the supervisor's own: bytes 2 and 3 or 4 */
	FILE_N_LINES,
};

/*
 * Take a line's bytes. A shared line needs no more than an O_RDONLY descriptor.
 *
 * Returns 0, LOCK_BUSY or -errno; unless 0 nothing is taken.
 */
int file_lock_take(int fd, enum file_line line, enum file_use use);

/* Let go of them. What was not held: 0. */
int file_lock_drop(int fd, enum file_line line, enum file_use use);

/*
 * Who stands in the way of @use? Takes nothing; any descriptor will do. Locks
 * of @fd's own description do not count.
 *
 * @ret		a lock that conflicts: its type, and the pid of a POSIX lock
 *		(-1: an open file description lock; they have no pid)
 *
 * Returns 1 if somebody does, 0 if nobody, or -errno.
 */
int file_lock_conflict(int fd, enum file_use use, struct flock *ret);

/* As what others hold the file. Returns 1 with @ret, 0 if nobody does, or -errno. */
int file_lock_look(int fd, enum resource_mode *ret, struct flock *lock);

/* Does this one of a place's two descriptions hold its line's bytes? 1, 0 or -errno. */
int file_lock_is_held(const int fds[static FILE_N_LINES], enum file_line line, enum file_use use);

/* The same of a text of /proc/PID/fdinfo: is this a user in whose way @use would be? */
bool file_lock_is_in_the_way(const char *fdinfo, enum file_use use);

/* Did a call fail because there are no locks on this file system? */
bool file_lock_is_unsupported(int err);
