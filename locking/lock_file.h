/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <stdbool.h>
#include <sys/types.h>

#include "locking/lock_file_access.h"
#include "locking/resource.h"

/*
 * A file that exists only to be locked: in a lockspace, of a lease, or for a
 * block device. Its directory may be shared with other users and hosts, so what
 * lies there under its name is not trusted: links are not followed, and nothing
 * but a regular file of one name, of somebody who is trusted, is used.
 */
struct lock_file {
	const char *path; /* absolute */
	const char *what; /* for people: "lockspace", "lease" */
	struct lock_file_access access;
	/* its directory is this host's, which root makes; there root also mends rights and owners
	 */
	bool host_wide;
};

/*
 * Open it, and make it if it is missing. Not its directory: who mistypes a
 * lockspace's name would be alone in a new one (but see host_wide).
 *
 * @write	for a write lock
 *
 * Returns the descriptor, or -errno with a sentence and its exit status.
 */
int lock_file_open(
	const struct lock_file *file, bool write, struct resource_identity *ret, struct error *err);

/*
 * Open it for a look, and make nothing. What would be refused above is refused.
 *
 * @to_lock	that it is missing and could not be made is refused, too
 *
 * Returns the descriptor; LOCK_FILE_MISSING (it would be made, or nobody asks for
 * that); or -errno.
 */
enum { LOCK_FILE_MISSING = -ENODATA };
int lock_file_open_to_look(const struct lock_file *file, bool to_lock, struct error *err);
