/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/record.h"

/*
 * Where a record (record.h) is kept: in the extended attribute user.vmlatch of
 * an image, or in the text of a lock file.
 */
enum file_record_form {
	FILE_RECORD_FORM_NONE, /* a block device's node has room for neither */
	FILE_RECORD_FORM_ATTRIBUTE,
	FILE_RECORD_FORM_TEXT,
};
struct file_record_home {
	int fd; /* borrowed */
	enum file_record_form form;
};

enum file_record_outcome {
	FILE_RECORD_NONE = 1,    /* missing, damaged, or copied from another file */
	FILE_RECORD_NOWHERE = 2, /* nothing can be kept there */
};

/*
 * @id		of the image that an attribute must be about (a lock file stands for its
 *		name, whatever file has that on another host)
 * @boot_id	ours: a device number means something only in the boot that wrote
 *		it, so other hosts' records are known by their inode
 *
 * Returns 0, FILE_RECORD_NONE, FILE_RECORD_NOWHERE or -errno.
 */
int file_record_read(struct file_record_home home, const struct resource_identity *id,
	const char *boot_id, struct record *ret);

/*
 * Put a record in the place of what is there. Where it cannot be written (no
 * attributes, no room, no permission, somebody else's text in a lock file) the
 * stamp has to do, provided that no older record stays: it would say that nobody
 * has used the image since. So that one is removed; its owner finds it gone.
 *
 * @record	"held" is set here; the generation is the caller's
 * @text	for file_record_clear(); the caller's; NULL unless 0 is returned
 *
 * Returns 0, FILE_RECORD_NOWHERE, or -errno with a sentence: an older record
 * is there and can be neither replaced nor removed.
 */
int file_record_write(
	struct file_record_home home, struct record *record, char **text, struct error *err);

/*
 * Note that a guest may begin to write to a partition of what the record is about.
 * Without a record nobody has used the whole, and nobody needs to know.
 *
 * Returns 0 or -errno with a sentence.
 */
int file_record_mark_part(
	struct file_record_home home, const struct lock_owner *owner, struct error *err);

/* The same of one who writes to all of it, together with others. */
int file_record_mark_shared(
	struct file_record_home home, const struct lock_owner *owner, struct error *err);

/*
 * Name the process anew in a record of our own.
 *
 * @text	what stands there; freed and replaced, or left if it cannot be written
 */
void file_record_rename_owner(
	struct file_record_home home, char **text, const struct lock_owner *owner);

/* Write that the holder is gone. A failure harms nobody: the lock, not the record, holds. */
void file_record_clear(struct file_record_home home, char *text);

/* The text of the record, if it is @owner's own and of this instance; else NULL. The caller's. */
char *file_record_recall(struct file_record_home home, const struct resource_identity *id,
	const struct lock_owner *owner);
