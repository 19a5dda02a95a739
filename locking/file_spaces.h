/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>

#include "locking/file_image.h"
#include "locking/path_hash.h"

/*
 * Which lock files stand for a resource besides itself:
 *
 *	a disk		with a lockspace: LOCKSPACE/HASH of its canonical path, and of
 *			each other spelling that it was given by; or one by identity
 *	a block device	DEVICES/KEY, since a lock on its node is on that node only;
 *			a partition also uses its disk's, in a way of its own
 *			what a loop device is made of is locked likewise (file_beneath.h)
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

/* For those who derive. As file_image_add_place(), DIR/NAME. */
int file_spaces_add(struct file_image *image, enum file_place_kind kind, const char *dir,
	const char *name, struct file_place **ret);

/* One in the lockspace. @disk: whose rights it has. */
int file_spaces_add_shared(const struct file_spaces *spaces, struct file_image *image,
	const char *name, const struct stat *disk, enum file_use use);

/* There: of each name of the image's. */
int file_spaces_add_spellings(const struct file_spaces *spaces, struct file_image *image);

/* How a file is called there by its identity. */
const char *file_spaces_inode_name(
	const struct resource_identity *id, char name[static PATH_HASH_SIZE]);
