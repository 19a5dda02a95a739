/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>

#include <locking/lock_driver.h>

struct image {
	struct resource resource;
	int fd; /* the life line: -1 until the first acquire */
	bool held;
	bool taken_now, opened_now; /* by the acquire that is under way */
};

struct locks {
	struct lock base; /* the first member */
	const struct credentials *credentials;
	struct image *images; /* in canonical order */
	size_t n;
};

static inline struct locks *locks_of(struct lock *lock)
{
	return (struct locks *)lock;
}

/*
 * One image: flock_image.c. The resource as it is added, with its identity; or why
 * it cannot be. Lock it (0, LOCK_BUSY or -errno), and take the lock back.
 */
int image_identify(const struct resource *resource, struct resource *ret, struct error *err);
int image_lock(const struct locks *locks, struct image *image, struct error *err);
void image_undo(struct image *image);
void image_finish(struct image *image);

/* Slots that deal with the state as text: flock_state.c */
int flock_verify(struct lock *lock, const char *saved, struct error *err);
int flock_inquire(struct lock *lock, char **ret, struct error *err);
int flock_descriptors(
	struct lock *lock, struct lock_descriptor **ret, size_t *n, struct error *err);
int flock_adopt(struct lock *lock, const int *fds, size_t n, const char *state, struct error *err);

/* Who has a flock on this file? Fills held, mode and holder: flock_look.c */
void flock_look(const struct stat *info, struct lock_view *view);
