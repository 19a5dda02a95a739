/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>

#include "launcher/doctor/finding.h"
#include "launcher/doctor/lock_name.h"
#include "locking/record.h"

/* What there is to say of lock files and their directory; from what was seen (pure). */
enum lock_content {
	LOCK_CONTENT_UNSEEN, /* may not be read */
	LOCK_CONTENT_EMPTY,
	LOCK_CONTENT_RECORD,
	LOCK_CONTENT_GARBLED, /* begins as a record does, and is none */
	LOCK_CONTENT_FOREIGN, /* not ours */
};

/* Text as it stands in a lock file; its line's end counts no more than its absence. */
enum lock_content lock_content_of(const char *text, size_t len, struct record *ret);

struct lock_seen {
	const char *path; /* for people: fit to be shown */
	enum lock_name name;
	struct stat info; /* of the name itself: links are not followed */
	enum lock_content content;
	struct record record; /* LOCK_CONTENT_RECORD */
	bool held;            /* somebody has a lock on it */
	bool lockless;        /* that cannot be known here */
	bool same_boot;       /* the record was written by this host, since it was booted */
	bool alive;           /* and the process that it names still runs */
};

/* Who looks, and where. */
struct lock_view_point {
	uid_t uid;
	uid_t directory_uid;
};

void lock_judge(const struct lock_seen *seen, const struct lock_view_point *from,
	struct findings *findings);

/* The directory as a lockspace. Returns false if 'run --lockspace' would refuse it. */
bool lock_directory_judge(const struct stat *info, uid_t self, struct findings *findings);

/* A record that says "held" although nobody has the lock. */
bool lock_is_stale(const struct lock_seen *seen);
