/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/file_lock.h"
#include "locking/file_record.h"
#include "locking/file_rights.h"
#include "locking/lock_file.h"

/*
 * One file whose bytes stand for a resource (file_lock.h): two open file
 * descriptions of it, and the record that is kept there.
 *
 *	closed --open--> open --take--> locked
 *	                  ^-----drop-----'
 *
 * A place stays open when its lock is given back: the description of the life
 * line is QEMU's too, and the same one must be locked again.
 */
enum file_place_kind {
	FILE_PLACE_IMAGE,     /* the image or the block device itself: QEMU's rights */
	FILE_PLACE_LOCKSPACE, /* a lock file in --lockspace: our rights, as all that follow */
	FILE_PLACE_LEASE,
	FILE_PLACE_DEVICE,  /* this host's lock file of a block device */
	FILE_PLACE_BACKING, /* what a loop device is made of: an image, with our rights */
	FILE_N_PLACES,
};

struct file_place {
	enum file_place_kind kind;
	enum file_use use;
	char *path;
	struct file_rights *rights;     /* borrowed */
	struct lock_file_access access; /* of a lock file */
	struct resource_identity id;    /* of what is open */
	int life;                       /* -1: not open */
	int guard;                      /* likewise */
	bool lost;                      /* let go of, and could not be taken back */
	bool known_image; /* to who looks at it: nobody's lock file, named by itself */
	bool recordable;  /* as it was seen when it was armed */
	char *record;     /* the text that was put there by arming; NULL: none */
};

const char *file_place_kind_name(enum file_place_kind kind); /* "image", "lockspace", ... */
int file_place_kind_from_name(const char *name);             /* the kind, or -1 */

/* @path is copied. 0 or -ENOMEM. */
int file_place_init(struct file_place *place, enum file_place_kind kind, const char *path,
	struct file_rights *rights);
void file_place_finish(struct file_place *place); /* closes */
void file_place_close(struct file_place *place);

/*
 * Open the life line, and learn the identity. An image is opened with the rights
 * that the thread has (QEMU's), and anything but a regular file or a block device
 * is refused without being opened; a lock file is made if it is missing.
 *
 * Returns 0 or -errno with a sentence and its exit status.
 */
int file_place_open(struct file_place *place, struct error *err);

/*
 * Take both lines. The guard is opened only after the life line is locked: that
 * its path leads to the same file proves that the locked file is the one that
 * QEMU, or the next one who asks for the lock, will find under this name.
 *
 * Returns 0; LOCK_BUSY; FILE_PLACE_REPLACED (the name stands for another file by
 * now: open it again); or -errno (@err has a sentence unless it was the locking that
 * failed). Unless 0 nothing is held.
 */
enum { FILE_PLACE_REPLACED = 100 };
int file_place_take(struct file_place *place, struct error *err);

/* Give both back; the record says so first. 0 or -errno, and then they are held, or lost. */
int file_place_drop(struct file_place *place);

/* Its record names @owner from now on, if it has one of ours. */
void file_place_rename_owner(struct file_place *place, const struct lock_owner *owner);

/*
 * Is a lock file still the one that others would find and lock? (Of an image: 0.)
 *
 * Returns 0; FILE_PLACE_REPLACED; or -errno with a sentence: it cannot be told,
 * which is no proof of either.
 */
int file_place_look(const struct file_place *place, struct error *err);

/*
 * Are both lines locked as we believe, and is a lock file still the one that
 * others would find? 0, LOCK_LOST or -errno, with a sentence.
 */
int file_place_check(const struct file_place *place, struct error *err);

static inline bool file_place_is_lock_file(const struct file_place *place)
{
	return place->kind != FILE_PLACE_IMAGE && place->kind != FILE_PLACE_BACKING;
}

/* Of those. */
struct lock_file file_place_lock_file(const struct file_place *place);

/* Where this place keeps its record. */
struct file_record_home file_place_record_home(const struct file_place *place);

/* The record that stands there now; generation 0: none. 0 or -errno. */
int file_place_read_record(
	const struct file_place *place, const struct lock_owner *owner, struct record *ret);
