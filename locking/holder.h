/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/file_lock.h"
#include "locking/file_record.h"

/*
 * Who holds a lock? In this order:
 *
 *	F_OFD_GETLK's pid	a POSIX lock (virtlockd); then the record, if there
 *				is one, speaks of somebody else
 *	the record		exclusive users only; believed if it fits the file
 *				and, on this host, a live process
 *	a scan of /proc		the others; only what we may see (holder_process.h)
 *
 * The launcher puts what its state files say before the scan.
 */
enum holder_verdict {
	HOLDER_NOBODY,  /* nobody is in the way (any more): try again */
	HOLDER_KNOWN,   /* @ret says who */
	HOLDER_TAKING,  /* just being taken: the record is not written yet */
	HOLDER_DEAD,    /* the record names a process of ours that is dead: about to be free */
	HOLDER_UNKNOWN, /* held, and neither pid nor record tells by whom */
};

struct holder_query {
	int fd; /* any descriptor of what is locked */
	enum file_use use;
	struct file_record_home home; /* where the record would be */
	struct resource_identity id;  /* of the image that it would be about */
};

/*
 * What a lock would meet, without a scan.
 *
 * @self	host and boot_id are ours; a record of our host from another boot
 *		is not believed. "" where it is not known
 * @ret		filled if KNOWN
 *
 * Returns the verdict or -errno.
 */
int holder_find(
	const struct holder_query *query, const struct lock_owner *self, struct lock_holder *ret);

/* The last user that a record names (held or not), fit to be shown. */
void holder_from_record(const struct record *record, struct lock_holder *ret);
