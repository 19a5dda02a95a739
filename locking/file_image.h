/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/file_place.h"

/*
 * One resource of a VM, and the places (file_place.h) where it is locked: of a
 * disk first the image itself, then its lock files (file_spaces.h); of a lease
 * its file.
 *
 *	closed --open--> open --take--> held --arm--> armed
 *	                  ^---------------drop----------'
 */
#define FILE_PLACES_MAX 8

struct file_image {
	struct resource resource;
	struct file_rights *rights; /* borrowed */
	struct strv spellings;      /* of other names that have become this one */
	struct file_place places[FILE_PLACES_MAX];
	size_t n_places;
	bool held;
	bool skipped;   /* held in name only: a reader, and no lock is possible */
	size_t n_armed; /* of its places, the first ones; 0: it is not armed */

	bool reopened; /* a place has been opened anew: QEMU has only the old description of it */

	/* of the acquire that is going on */
	size_t busy_place;    /* that somebody else has */
	size_t n_held_before; /* of its places, the first ones */
	size_t n_spellings_before;
	struct resource_identity id_before;
	bool opened_now;
	bool taken_now;
	bool duplicate; /* another name of another member's file */
};

/* @resource is copied. 0 or -ENOMEM. */
int file_image_init(
	struct file_image *image, const struct resource *resource, struct file_rights *rights);
void file_image_finish(struct file_image *image); /* closes */

/* The place with this path; if there is none, one is added. 0, -E2BIG or -ENOMEM. */
int file_image_add_place(struct file_image *image, enum file_place_kind kind, const char *path,
	struct file_place **ret);

bool file_image_is_open(const struct file_image *image);
void file_image_close(struct file_image *image);

/* Note as what it has names, spellings and locks, for the three that follow. */
void file_image_begin(struct file_image *image);

/* Is there nothing to take? (It may have been given another name since it was held.) */
bool file_image_is_complete(const struct file_image *image);

/* Give back what was taken since; forget what was found since, closing it. */
void file_image_untake(struct file_image *image);
void file_image_forget(struct file_image *image);

/*
 * Open a disk's image with the rights of this thread, and learn the identity.
 *
 * Returns 0 or -errno with a sentence and its exit status.
 */
int file_image_open(struct file_image *image, struct error *err);

/* Open those of its places that are not open yet. As above. */
int file_image_open_places(struct file_image *image, struct error *err);

/*
 * Take all places that were not held before, or none.
 *
 * Returns 0; LOCK_BUSY with @image->busy_place; FILE_PLACE_REPLACED (the place that it
 * was is closed: open it again); or -errno with a sentence. Unless 0 no more is
 * held than before.
 */
int file_image_take(struct file_image *image, struct error *err);

/* Give the lock back; the records say so first. 0 or -errno, and then it is still held. */
int file_image_drop(struct file_image *image, struct error *err);

/* All of it again, which was dropped a moment ago; a place that another has got is lost. */
void file_image_retake(struct file_image *image);

/*
 * Raise the generation in those places that are not armed yet, if it is held and
 * exclusive. 0 or -errno.
 */
int file_image_arm(struct file_image *image, const struct lock_owner *owner, struct error *err);

/* Are all places locked as we believe? 0, LOCK_LOST or -errno, with a sentence. */
int file_image_check(const struct file_image *image, struct error *err);

/* Does a time of modification tell who wrote? (Not of a device or a lease.) */
static inline bool file_image_has_stamp(const struct file_image *image)
{
	return image->resource.kind == RESOURCE_DISK && !image->skipped &&
	       image->resource.id.ino != RESOURCE_INO_DEVICE;
}

bool file_image_is_recorded(const struct file_image *image);

/* Held where locks are possible. */
static inline bool file_image_has_lines(const struct file_image *image)
{
	return image->held && !image->skipped;
}

/* Only who holds it alone, or reads, can say later that it is as it was. */
static inline bool file_image_is_comparable(const struct file_image *image)
{
	return file_image_has_lines(image) && image->resource.mode != RESOURCE_SHARED;
}
