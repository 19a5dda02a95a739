/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/file_image.h"

/*
 * Which lock files stand for a resource besides itself:
 *
 *	a disk		with a lockspace: LOCKSPACE/HASH of its canonical path, and of
 *			each other spelling that it was given by; or one by identity
 *	a block device	DEVICES/KEY, since a lock on its node is on that node only;
 *			a partition also uses its disk's, in a way of its own
 *			a loop device's file is locked as an image
 *	a lease		PATH/SPACE/KEY (PATH: the lockspace where none is given), and
 *			nothing else
 *
 * HASH is how libvirt's virtlockd names its lock files: SHA-256 of the path. An
 * identity is the device's key (block_device.h), or "ino-" and the inode of a
 * file, so that a lockspace by identity is for one shared file system.
 */
struct file_spaces {
	char *lockspace; /* NULL: none */
	bool by_identity;
	char *devices;
};

/* From what a lock object is made with (NULL: nothing is known). 0 or -ENOMEM. */
int file_spaces_init(struct file_spaces *spaces, const struct lock_params *params);
void file_spaces_finish(struct file_spaces *spaces);

/*
 * Add the places that @image needs, not open yet, to those that it has. Its own
 * file, if it has one, is open; what was derived before stays.
 *
 * Returns 0 or -errno with a sentence and its exit status.
 */
int file_spaces_derive(
	const struct file_spaces *spaces, struct file_image *image, struct error *err);
