/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_locks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "locking/lock_conflict.h"

struct file_image *file_locks_find(const struct file_locks *locks, const struct resource *like)
{
	size_t i;

	for (i = 0; i < locks->n; i++) {
		if (resource_is_same(&locks->images[i].resource, like))
			return &locks->images[i];
	}
	return NULL;
}

static bool image_has_locked(const struct file_image *image, const struct resource_identity *id)
{
	size_t i;

	for (i = 0; file_image_has_lines(image) && i < image->n_places; i++) {
		if (resource_identity_equal(&image->places[i].id, id))
			return true;
	}
	return false;
}

int file_locks_judge_busy(
	const struct file_locks *locks, const struct file_image *busy, struct error *err)
{
	const struct file_place *place = &busy->places[busy->busy_place];
	char one[PATH_SHORT_SIZE], other[PATH_SHORT_SIZE];
	size_t i;

	for (i = 0; i < locks->n; i++) {
		if (&locks->images[i] == busy || !image_has_locked(&locks->images[i], &place->id))
			continue;
		error_set(err, -EINVAL, "%s and %s of this VM have the same lock file, %s",
			path_short(busy->resource.path, one),
			path_short(locks->images[i].resource.path, other), place->path);
		return error_status(err, -EINVAL, EX_DATAERR);
	}
	return LOCK_BUSY;
}

static int image_compare(const void *a, const void *b)
{
	const struct file_image *first = a, *second = b;

	return resource_compare(&first->resource, &second->resource);
}

void file_locks_sort(struct file_locks *locks)
{
	if (locks->n)
		qsort(locks->images, locks->n, sizeof(*locks->images), image_compare);
}

void file_locks_remove(struct file_locks *locks, struct file_image *image)
{
	size_t at = image - locks->images;

	file_image_finish(image);
	locks->n--;
	memmove(image, image + 1, (locks->n - at) * sizeof(*image));
}
