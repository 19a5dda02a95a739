/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_locks.h"

#include <stdlib.h>
#include <string.h>

struct file_image *file_locks_find(const struct file_locks *locks, const struct resource *like)
{
	size_t i;

	for (i = 0; i < locks->n; i++) {
		if (resource_is_same(&locks->images[i].resource, like))
			return &locks->images[i];
	}
	return NULL;
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
