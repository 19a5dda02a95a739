/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/file_spaces.h"

/*
 * The file driver's lock object: a VM's images in canonical order. What the
 * driver's slots do is spread over driver_file.c, file_acquire.c, file_verify.c,
 * file_adopt.c and file_look.c; lock_driver.h says what each of them promises.
 */
struct file_locks {
	struct lock base;
	struct lock_owner owner;
	struct file_rights rights;
	struct file_spaces spaces;
	bool adopted; /* the supervisor's copy */
	int watch; /* inotify on the directories of lock files; -1: there are none, or none yet */
	struct file_image *images;
	size_t n;
	size_t size;
};

static inline struct file_locks *file_locks_of(struct lock *lock)
{
	return (struct file_locks *)lock; /* base stands first */
}

/* The image that is the same resource, or NULL. */
struct file_image *file_locks_find(const struct file_locks *locks, const struct resource *like);

/*
 * Is it this VM itself that is in the way, by another resource with the same lock
 * file? LOCK_BUSY, or -EINVAL with a sentence: to wait would be in vain.
 */
int file_locks_judge_busy(
	const struct file_locks *locks, const struct file_image *busy, struct error *err);

/*
 * Who has it? The record of any of its places may tell: a device's node has none,
 * its lock files do. Returns a holder_verdict or -errno.
 */
int file_locks_find_holder(
	const struct file_locks *locks, const struct file_image *busy, struct lock_holder *ret);

void file_locks_sort(struct file_locks *locks);
void file_locks_remove(struct file_locks *locks, struct file_image *image);

/*
 * Now that all are open: put them in order, and mark those that are another name
 * of another one's file as duplicates.
 *
 * Returns 0; -EBUSY with a sentence, if the one that is in use is so in a weaker
 * mode; or -ENOMEM.
 */
int file_locks_join_names(struct file_locks *locks, struct error *err);
void file_locks_remove_duplicates(struct file_locks *locks);

/*
 * Watch the directories of an image's lock files, with our own rights: of the
 * supervisor's copy only, since a forked child would share what is read; and before
 * it is seen that the files are still there, so that nothing falls in between.
 * Where it is not possible (no more instances of inotify) a loss is noticed at the
 * next verify.
 *
 * Returns 0; or -errno with a sentence: the thread's rights are not what they were.
 */
int file_locks_watch(struct file_locks *locks, const struct file_image *image, struct error *err);

/* What was seen has been looked at. */
void file_locks_watch_reset(struct file_locks *locks);

/* Slots of struct lock_driver. */
int file_driver_acquire(
	struct lock *lock, unsigned flags, struct lock_conflict *conflict, struct error *err);
int file_driver_inquire(struct lock *lock, char **ret, struct error *err);
int file_driver_verify(struct lock *lock, const char *saved, struct error *err);
int file_driver_descriptors(
	struct lock *lock, struct lock_descriptor **ret, size_t *n, struct error *err);
int file_driver_adopt(
	struct lock *lock, const int *fds, size_t n, const char *state, struct error *err);
int file_driver_look(const struct lock_look *look, struct lock_view *ret, struct error *err);
