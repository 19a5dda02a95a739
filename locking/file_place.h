/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/file_lock.h"
#include "locking/file_record.h"

/*
 * One file whose bytes stand for a resource (file_lock.h): two open file
 * descriptions of it, and the record that is kept beside the bytes.
 *
 *	closed --open--> open --take--> locked
 *	                  ^-----drop-----'
 *
 * A place stays open when its lock is given back: the description of the life
 * line is QEMU's too, and the same one must be locked again.
 */
struct file_place {
	const char *path; /* borrowed: the resource's */
	enum file_use use;
	struct resource_identity id; /* of what is open */
	int life;                    /* -1: not open */
	int guard;                   /* likewise */
	bool lost;                   /* let go of, and could not be taken back */
	char *record;                /* the text that was put there by arming; NULL: none */
};

void file_place_finish(struct file_place *place); /* closes */
void file_place_close(struct file_place *place);

/*
 * Open the life line with the rights of this thread, and learn the identity.
 * Anything but a regular file is refused without being opened.
 *
 * Returns 0 or -errno with a sentence and its exit status.
 */
int file_place_open(struct file_place *place, struct error *err);

/*
 * Take both lines. The guard is opened only after the life line is locked: that
 * its path leads to the same file proves that the locked file is the one that
 * QEMU will find under this name.
 *
 * Returns 0; LOCK_BUSY; FILE_PLACE_REPLACED (the name stands for another file by
 * now: open it again); or -errno (@err has a sentence if it was the opening that
 * failed). Unless 0 nothing is held.
 */
enum { FILE_PLACE_REPLACED = 100 };
int file_place_take(struct file_place *place, struct error *err);

/* Give both back; the record says so first. 0 or -errno, and then they are held, or lost. */
int file_place_drop(struct file_place *place);

/* Are both lines locked as we believe? 0, LOCK_LOST or -errno, with a sentence. */
int file_place_check(const struct file_place *place, struct error *err);
