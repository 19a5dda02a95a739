/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "locking/file_locks.h"
#include "locking/file_record.h"
#include "locking/saved_state.h"

/*
 * From the child's lock object to the supervisor's copy. The child has opened
 * the images, so its identities and its order count: the state text lists them,
 * and each locked one comes with two descriptors, life line and guard.
 */

static size_t count_places(const struct file_locks *locks)
{
	size_t i, n = 0;

	for (i = 0; i < locks->n; i++)
		n += locks->images[i].n_places;
	return n;
}

int file_driver_descriptors(
	struct lock *lock, struct lock_descriptor **ret, size_t *n, struct error *err)
{
	const struct file_locks *locks = file_locks_of(lock);
	struct lock_descriptor *all;
	size_t i, k, used = 0;

	all = calloc(2 * count_places(locks) + 1, sizeof(*all));
	if (!all)
		return error_set(err, -ENOMEM, "no memory for lock descriptors");
	for (i = 0; i < locks->n; i++) {
		const struct file_image *image = &locks->images[i];

		for (k = 0; k < image->n_places && file_image_has_lines(image); k++) {
			const struct file_place *place = &image->places[k];

			all[used++] =
				(struct lock_descriptor){ .fd = place->life, .inherit = true };
			all[used++] = (struct lock_descriptor){ .fd = place->guard };
		}
	}
	*ret = all;
	*n = used;
	return 0;
}

/* The two descriptors of one place. */
static int fds_check(
	const int *fds, const struct resource_identity *id, const char *path, struct error *err)
{
	struct stat info;
	int i;

	for (i = 0; i < 2; i++) {
		if (fstat(fds[i], &info) < 0)
			return error_set(err, -errno, "look at the lock descriptor of %s: %s", path,
				strerror(errno));
		if (!resource_identity_is(id, &info))
			return error_set(
				err, -EINVAL, "descriptor %d is not a lock of %s", fds[i], path);
	}
	return 0;
}

static bool entry_has_image(const struct saved_entry *entry)
{
	return entry->resource.kind == RESOURCE_DISK;
}

/* How many descriptors go with an entry. */
static size_t entry_count_fds(const struct saved_entry *entry)
{
	if (entry->hold != SAVED_LOCKED)
		return 0;
	return 2 * (entry->n_places + entry_has_image(entry));
}

static int entry_check(const struct saved_entry *entry, const int *fds, struct error *err)
{
	size_t i;
	int ret = 0;

	if (entry->n_places + entry_has_image(entry) > FILE_PLACES_MAX)
		return error_set(err, -EINVAL, "too many lock files of %s", entry->resource.path);
	if (entry_has_image(entry)) {
		ret = fds_check(fds, &entry->resource.id, entry->resource.path, err);
		fds += 2;
	}
	for (i = 0; i < entry->n_places && ret == 0; i++) {
		if (file_place_kind_from_name(entry->places[i].kind) < 0 ||
			entry->places[i].use >= FILE_N_USES)
			return error_set(err, -EINVAL, "an unknown kind of lock on %s",
				entry->places[i].path);
		ret = fds_check(fds + 2 * i, &entry->places[i].id, entry->places[i].path, err);
	}
	return ret;
}

/* Everything that could be wrong, before anything changes. */
static int state_check(const struct file_locks *locks, const struct saved_state *state,
	const int *fds, size_t n, struct error *err)
{
	size_t i, used = 0, count;
	int ret = 0;

	for (i = 0; i < locks->n; i++) {
		if (file_image_is_open(&locks->images[i]))
			return error_set(err, -EBUSY, "%s is locked already",
				locks->images[i].resource.path);
	}
	for (i = 0; i < state->n && ret == 0; i++, used += count) {
		count = entry_count_fds(&state->entries[i]);
		if (used + count > n)
			break;
		if (count)
			ret = entry_check(&state->entries[i], fds + used, err);
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

static int image_copy_place(struct file_image *image, const struct saved_place *saved)
{
	struct file_place *place = &image->places[image->n_places];
	int kind = file_place_kind_from_name(saved->kind);

	if (kind < 0 || image->n_places == FILE_PLACES_MAX)
		return -EINVAL;
	if (file_place_init(place, kind, saved->path, image->rights) < 0)
		return -ENOMEM;
	place->use = saved->use;
	place->id = saved->id;
	image->n_places++;
	return 0;
}

static int image_copy(
	struct file_locks *locks, const struct saved_entry *entry, struct file_image *ret)
{
	const struct file_image *ours = image_named(locks, entry->resource.path);
	struct resource resource = entry->resource;
	struct file_image image;
	size_t i;
	int code;

	if (ours)
		resource.origin = ours->resource.origin;
	code = file_image_init(&image, &resource, &locks->rights);
	if (code < 0)
		return code;
	image.places[0].id = resource.id;
	image.held = entry->hold != SAVED_FREE;
	image.skipped = entry->hold == SAVED_SKIPPED;
	for (i = 0; i < entry->n_places && code == 0; i++)
		code = image_copy_place(&image, &entry->places[i]);
	image.n_armed = image.held ? image.n_places : 0;
	if (code < 0)
		file_image_finish(&image);
	else
		*ret = image;
	return code;
}

static void images_free(struct file_image *images, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		file_image_finish(&images[i]);
	free(images);
}

static int images_copy(
	struct file_locks *locks, const struct saved_state *state, struct file_image **ret)
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

static void image_take_over(
	struct file_image *image, const int *fds, const struct lock_owner *owner)
{
	size_t i;

	for (i = 0; i < image->n_places; i++) {
		struct file_place *place = &image->places[i];

		place->life = *fds++;
		place->guard = *fds++;
		if (image->resource.mode == RESOURCE_EXCLUSIVE)
			place->record = file_record_recall(
				file_place_record_home(place), &image->resource.id, owner);
	}
}

/* From now on we would hear of a lock file that goes; has one gone since the child took it? */
static int images_watch(
	struct file_locks *locks, const struct file_image *images, size_t n, struct error *err)
{
	size_t i, k;
	int ret = 0;

	for (i = 0; i < n && ret == 0; i++) {
		if (!file_image_has_lines(&images[i]))
			continue;
		ret = file_locks_watch(locks, &images[i], err);
		for (k = 0; k < images[i].n_places && ret == 0; k++)
			ret = file_place_look(&images[i].places[k], err);
		if (ret == FILE_PLACE_REPLACED)
			ret = error_set(err, -EAGAIN,
				"the lock file %s was removed or replaced while it was being "
				"locked",
				images[i].places[k - 1].path);
	}
	return ret;
}

int file_driver_adopt(
	struct lock *lock, const int *fds, size_t n, const char *state, struct error *err)
{
	struct file_locks *locks = file_locks_of(lock);
	_cleanup_(saved_state_finish) struct saved_state saved = { 0 };
	struct file_image *images;
	size_t i;
	int ret = saved_state_from_text(state, lock->driver->name, &saved, err);

	if (ret == 0)
		ret = state_check(locks, &saved, fds, n, err);
	if (ret < 0)
		return ret;
	if (images_copy(locks, &saved, &images) < 0)
		return error_set(err, -ENOMEM, "no memory for locks");
	ret = images_watch(locks, images, saved.n, err);
	if (ret < 0) {
		images_free(images, saved.n);
		return error_status(err, ret, EX_UNAVAILABLE);
	}
	for (i = 0; i < saved.n; i++) {
		if (file_image_has_lines(&images[i]))
			image_take_over(&images[i], fds, &locks->owner);
		fds += entry_count_fds(&saved.entries[i]);
	}
	images_free(locks->images, locks->n);
	locks->images = images;
	locks->n = saved.n;
	locks->size = saved.n + 1;
	locks->adopted = true;
	return 0;
}
