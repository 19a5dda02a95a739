/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "lock_fixture.h"
#include "locking/lock_manager.h"

#define MAX_FILES 6

/* Two resources, and what a life with them needs. */
struct disks {
	char first[256];
	char second[128];
	char space[128]; /* "": no lockspace */
	char devices[128];
	struct resource images[2];
	struct resource_set set;

	char files[MAX_FILES][256]; /* that are locked, once they are there */
	size_t n_files;
	const char *recorded; /* one of them, the last, that keeps a record */

	struct lock_params params;
	struct domain_lock_start start;
	struct lock_conflict conflict;
};

/* Set-ups of a test; lock_fixture_teardown() ends each. What is written to is an image, ... */
int disks_make(void **state);
int disks_make_in_a_lockspace(void **state); /* each image has a lock file too */
int disks_make_with_a_lease(void **state);   /* a lease */
int disks_make_with_a_device(void **state);  /* a loop device: a lock file, and the file beneath */

/* Skips the test where its set-up could not be had (no right to a loop device). */
struct disks *disks_of(void **state);

/* Nobody holds a byte of it that a writer would meet. */
bool is_unlocked(const char *path);
size_t count_unlocked(const struct disks *disks);
bool all_are_free(const struct disks *disks);

/* Start, attach, pause, resume, verify, detach. 0 or what the first of them that failed returned.
 */
int live_through_it(const char *driver, struct disks *disks);
