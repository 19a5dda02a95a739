/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/public.h"
#include "base/str.h"
#include "locking/lock_driver.h"
#include "locking/stamp.h"

/*
 * A lock object's state as text (inquire in lock_driver.h): text <-> struct,
 * pure. One line of words (word.h), first the driver and the version, then the
 * resources in the order of their descriptors:
 *
 *	file/1 disk,exclusive,locked,65024:1234,7,UUID,1048576@1795342440.000000001,/srv/a.img
 *
 * The fields: kind, mode, hold, dev:ino, generation and instance of the record,
 * stamp (size@mtime), path or lease. The lock files of a resource follow it, a
 * word each: +kind, use, parts, dev:ino, generation, instance, path. It travels through state.json,
 *command lines and other hosts, and is parsed as hostile input.
 */
#define SAVED_STATE_TEXT_MAX (1024 * 1024)

enum saved_hold {
	SAVED_FREE,    /* not held */
	SAVED_LOCKED,  /* held; its descriptors travel with the state */
	SAVED_SKIPPED, /* counts as held, but there is no lock: see lock_status */
	SAVED_N_HOLDS,
};

/* A lock file that goes with a resource, with a record of its own. */
struct saved_place {
	char kind[16];
	unsigned use;
	struct resource_identity id;
	uint64_t generation; /* 0: there was no record */
	uint64_t parts;
	char instance[UUID_SIZE];
	char *path;
};

struct saved_entry {
	struct resource resource; /* no origin */
	enum saved_hold hold;
	uint64_t generation; /* 0: there was no record */
	char instance[UUID_SIZE];
	struct stamp stamp;
	struct saved_place *places; /* the caller's, @n_places of them */
	size_t n_places;
};

struct saved_state {
	char driver[LOCK_DRIVER_NAME_SIZE];
	struct saved_entry *entries;
	size_t n;
};

void saved_entry_finish(struct saved_entry *entry);
_public_ void saved_state_finish(struct saved_state *state);

/* Begin a text, and add to it; a lack of memory shows in str_take(). */
_public_ void saved_state_begin(struct str *out, const char *driver);
_public_ void saved_state_append(struct str *out, const struct saved_entry *entry);

/*
 * @driver	must be its name; NULL: any
 *
 * Returns 0, -ENOMEM, or -EINVAL with a sentence.
 */
_public_ int saved_state_from_text(
	const char *text, const char *driver, struct saved_state *ret, struct error *err);

/* The entry about this resource, or NULL. */
_public_ const struct saved_entry *saved_state_find(
	const struct saved_state *state, const struct resource *like);

/* By identity; one that another file has taken the place of, by its name. Or NULL. */
const struct saved_entry *saved_state_find_named(
	const struct saved_state *state, const struct resource *like);

/*
 * Does the text speak of the resources of @now, of no others, of each as held, and of
 * all its lock files? What it says of them may be another thing by now.
 *
 * Returns 1 or 0, or -errno with a sentence.
 */
int saved_state_covers(const char *text, const char *now, struct error *err);

/* The text without this resource: it has been detached. @ret: the caller's. 0 or -errno. */
int saved_state_without(const char *text, const struct resource *like, char **ret);

/*
 * The text, with what @before says of the same resources and lock files instead of what
 * has been seen of them since. @ret: the caller's. 0 or -errno.
 */
int saved_state_as_before(const char *text, const char *before, char **ret);
