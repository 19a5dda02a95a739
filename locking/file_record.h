/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/record.h"

/*
 * The record in the extended attribute user.vmlatch of an open image.
 */

enum file_record_outcome {
	FILE_RECORD_NONE = 1,    /* missing, damaged, or copied from another file */
	FILE_RECORD_NOWHERE = 2, /* the file system keeps no such attributes */
};

/*
 * @id		the file's
 * @boot_id	ours: a device number means something only in the boot that wrote
 *		it, so other hosts' records are known by their inode
 *
 * Returns 0, FILE_RECORD_NONE, FILE_RECORD_NOWHERE or -errno.
 */
int file_record_read(
	int fd, const struct resource_identity *id, const char *boot_id, struct record *ret);

/*
 * Put a record in the place of what is there, one generation up.
 * Where it cannot be written (no attributes, no room, no permission) the stamp
 * has to do, provided that no older record stays: it would say that nobody has
 * used the image since. So that one is removed; its owner finds it gone.
 *
 * @record	what it will say; the generation and "held" are set here
 * @text	for file_record_clear(); the caller's; NULL unless 0 is returned
 *
 * Returns 0, FILE_RECORD_NOWHERE, or -errno with a sentence: an older record
 * is there and can be neither replaced nor removed.
 */
int file_record_arm(int fd, struct record *record, char **text, struct error *err);

/* Write that the holder is gone. A failure harms nobody: the lock, not the record, holds. */
void file_record_clear(int fd, char *text);

/* The text of the record, if it is @owner's own and of this instance; else NULL. The caller's. */
char *file_record_recall(
	int fd, const struct resource_identity *id, const struct lock_owner *owner);
