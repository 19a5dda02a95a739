/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/str.h"
#include "locking/lock_driver.h"

/*
 * What is kept beside an image about its last exclusive user: text <-> struct,
 * pure. One line of words (word.h):
 *
 *	vmlatch 1 gen=7 [parts=3] id=65024:1234 held=1 since=1795342440 pid=4711 start=99
 *	instance=UUID boot=UUID host=kvm3 vm=web1
 *
 * A release only clears "held": the generation and the last user's name stay,
 * so that a stale resume can be told who it was.
 */
#define RECORD_TEXT_MAX 3072

struct record {
	uint64_t generation; /* 1 or more; raised whenever a guest may begin to write */
	/*
	 * In a whole disk's lock file: raised whenever a guest may begin to write to
	 * one of its partitions. Users of the whole disk look at both, those of its
	 * partitions only at the generation: each other they do not disturb.
	 */
	uint64_t parts;
	/* the file that this record is about; a copied attribute names another one */
	struct resource_identity id;
	struct lock_owner owner;
	int64_t since; /* seconds since the epoch: when it was armed */
	bool held;
};

/* The next of a generation or of parts: it comes round, and only whether it differs counts. */
static inline uint64_t record_count_on(uint64_t count)
{
	return count < INT64_MAX ? count + 1 : 1;
}

/* Append the text. Its length is below RECORD_TEXT_MAX whatever the names contain. */
void record_to_text(const struct record *record, struct str *out);

/* Hostile input is fine. 0, or -EINVAL (and then @ret is untouched). */
int record_from_text(const char *text, size_t len, struct record *ret);
