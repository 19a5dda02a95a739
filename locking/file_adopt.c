/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "locking/file_locks.h"
#include "locking/file_record.h"
#include "locking/saved_state.h"

/*
 * From the child's lock object to the supervisor's copy. The child has opened
 * the images, so its identities and its order count: the state text lists them,
 * and each locked one comes with two descriptors, life line and guard.
 */

int file_driver_descriptors(
	struct lock *lock, struct lock_descriptor **ret, size_t *n, struct error *err)
{
	const struct file_locks *locks = file_locks_of(lock);
	struct lock_descriptor *all;
	size_t i, used = 0;

	all = calloc(2 * locks->n + 1, sizeof(*all));
	if (!all)
		return error_set(err, -ENOMEM, "no memory for lock descriptors");
	for (i = 0; i < locks->n; i++) {
		const struct file_image *image = &locks->images[i];

		if (!file_image_has_lines(image))
			continue;
		all[used++] =
			(struct lock_descriptor){ .fd = image->places[0].life, .inherit = true };
		all[used++] =
			(struct lock_descriptor){ .fd = image->places[0].guard, .inherit = false };
	}
	*ret = all;
	*n = used;
	return 0;
}

static int fd_check(int fd, const struct saved_entry *entry, struct error *err)
{
	struct stat info;

	if (fstat(fd, &info) < 0)
		return error_set(err, -errno, "look at the lock descriptor of %s: %s",
			entry->resource.path, strerror(errno));
	if (!resource_identity_is(&entry->resource.id, &info))
		return error_set(err, -EINVAL, "descriptor %d is not a lock of %s", fd,
			entry->resource.path);
	return 0;
}

/* Everything that could be wrong, before anything changes. */
static int state_check(const struct file_locks *locks, const struct saved_state *state,
	const int *fds, size_t n, struct error *err)
{
	size_t i, used = 0;
	int ret = 0;

	for (i = 0; i < locks->n; i++) {
		if (file_image_is_open(&locks->images[i]))
			return error_set(err, -EBUSY, "%s is locked already",
				locks->images[i].resource.path);
	}
	for (i = 0; i < state->n && ret == 0; i++) {
		if (state->entries[i].hold != SAVED_LOCKED)
			continue;
		if (used + 2 > n)
			break;
		ret = fd_check(fds[used++], &state->entries[i], err);
		if (ret == 0)
			ret = fd_check(fds[used++], &state->entries[i], err);
	}
	if (ret == 0 && (i < state->n || used != n))
		ret = error_set(err, -EINVAL, "%zu descriptors do not fit the lock state", n);
	return ret;
}

/* Ours of that name: its origin is known only here. NULL: the child knows one more. */
static const struct file_image *image_named(const struct file_locks *locks, const char *path)
{
	size_t i;

	for (i = 0; i < locks->n; i++) {
		if (strcmp(locks->images[i].resource.path, path) == 0)
			return &locks->images[i];
	}
	return NULL;
}

static int image_copy(
	const struct file_locks *locks, const struct saved_entry *entry, struct file_image *ret)
{
	const struct file_image *ours = image_named(locks, entry->resource.path);
	struct resource resource = entry->resource;

	if (ours)
		resource.origin = ours->resource.origin;
	if (file_image_init(ret, &resource) < 0)
		return -ENOMEM;
	ret->places[0].id = resource.id;
	ret->held = ret->armed = entry->hold != SAVED_FREE;
	ret->skipped = entry->hold == SAVED_SKIPPED;
	return 0;
}

static void images_free(struct file_image *images, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		file_image_finish(&images[i]);
	free(images);
}

static int images_copy(
	const struct file_locks *locks, const struct saved_state *state, struct file_image **ret)
{
	struct file_image *images = calloc(state->n + 1, sizeof(*images));
	size_t i;

	if (!images)
		return -ENOMEM;
	for (i = 0; i < state->n; i++) {
		if (image_copy(locks, &state->entries[i], &images[i]) == 0)
			continue;
		images_free(images, i);
		return -ENOMEM;
	}
	*ret = images;
	return 0;
}

int file_driver_adopt(
	struct lock *lock, const int *fds, size_t n, const char *state, struct error *err)
{
	struct file_locks *locks = file_locks_of(lock);
	_cleanup_(saved_state_finish) struct saved_state saved = { 0 };
	struct file_place *place;
	struct file_image *images;
	size_t i, used = 0;
	int ret = saved_state_from_text(state, lock->driver->name, &saved, err);

	if (ret == 0)
		ret = state_check(locks, &saved, fds, n, err);
	if (ret < 0)
		return ret;
	if (images_copy(locks, &saved, &images) < 0)
		return error_set(err, -ENOMEM, "no memory for locks");
	for (i = 0; i < saved.n; i++) {
		if (!file_image_has_lines(&images[i]))
			continue;
		place = &images[i].places[0];
		place->life = fds[used++];
		place->guard = fds[used++];
		if (images[i].resource.mode == RESOURCE_EXCLUSIVE)
			place->record = file_record_recall(place->life, &place->id, &locks->owner);
	}
	images_free(locks->images, locks->n);
	locks->images = images;
	locks->n = saved.n;
	locks->size = saved.n + 1;
	return 0;
}
