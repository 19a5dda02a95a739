/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/record.h"

/*
 * One image of a VM: its two open file descriptions (file_lock.h) and what is
 * known about its record.
 *
 *	closed --open--> open --take--> held --arm--> armed
 *	                  ^---------------drop----------'
 *
 * An image stays open when its lock is given back: the description of the life
 * line is QEMU's too, and the same one must be locked again.
 */
struct file_image {
	struct resource resource;
	int life;  /* -1: not open */
	int guard; /* likewise */
	bool held;
	bool skipped; /* held in name only: a reader, and no lock is possible */
	bool armed;
	bool lost;    /* let go of, and could not be taken back */
	char *record; /* the text that is on the image since it was armed; NULL: none */

	/* of the acquire that is going on */
	struct resource_identity id_before;
	bool opened_now;
	bool taken_now;
	bool duplicate; /* another name of another member's file */
};

void file_image_finish(struct file_image *image); /* closes */
void file_image_close(struct file_image *image);

/*
 * Open the life line with the rights of this thread, and learn the identity.
 * Anything but a regular file is refused without being opened.
 *
 * Returns 0 or -errno with a sentence and its exit status.
 */
int file_image_open(struct file_image *image, struct error *err);

/*
 * Take both lines. The guard is opened only after the life line is locked: that
 * its path leads to the same file proves that the locked file is the one that
 * QEMU will find under this name.
 *
 * Returns 0; LOCK_BUSY; FILE_IMAGE_REPLACED (the name stands for another file by
 * now: open it again); or -errno with a sentence. Unless 0 nothing is held.
 */
enum { FILE_IMAGE_REPLACED = 100 };
int file_image_take(struct file_image *image, struct error *err);

/* Give the lock back; the record says so first. 0 or -errno, and then it is still held. */
int file_image_drop(struct file_image *image, struct error *err);

/* Raise the generation, if it is held and exclusive and not armed yet. 0 or -errno. */
int file_image_arm(struct file_image *image, const struct lock_owner *owner, struct error *err);

/* Are both lines locked as we believe? 0, LOCK_LOST or -errno, with a sentence. */
int file_image_check(const struct file_image *image, struct error *err);
