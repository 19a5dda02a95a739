/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "locking/file_locks.h"

/* Names of one file become one image. */

static int spelling_add(struct file_image *image, const char *path)
{
	size_t i;

	for (i = 0; i < image->spellings.n; i++) {
		if (str_equal(image->spellings.items[i], path))
			return 0;
	}
	return str_equal(image->resource.path, path) ? 0 : strv_add(&image->spellings, path);
}

/* Of two names of one file the stronger use counts. */
static int pair_judge(struct file_image *a, struct file_image *b, struct error *err)
{
	struct file_image *keep = a->opened_now ? b : a, *drop = keep == a ? b : a;

	if (a->opened_now && b->opened_now && b->resource.mode <= a->resource.mode) {
		keep = a;
		drop = b;
	}
	if (drop->resource.mode > keep->resource.mode)
		return error_set(err, -EBUSY, "%s is in use as %s already, under the name %s",
			drop->resource.path, resource_mode_name(keep->resource.mode),
			keep->resource.path);
	drop->duplicate = true;
	return spelling_add(keep, drop->resource.path);
}

int file_locks_join_names(struct file_locks *locks, struct error *err)
{
	struct file_image *last = NULL;
	size_t i;
	int ret;

	file_locks_sort(locks);
	for (i = 0; i < locks->n; i++) {
		struct file_image *image = &locks->images[i];

		if (image->resource.kind != RESOURCE_DISK)
			continue;
		if (last && resource_identity_equal(&last->resource.id, &image->resource.id)) {
			ret = pair_judge(last, image, err);
			if (ret < 0)
				return ret;
		}
		if (!image->duplicate)
			last = image;
	}
	return 0;
}

void file_locks_remove_duplicates(struct file_locks *locks)
{
	size_t i = 0;

	while (i < locks->n) {
		if (locks->images[i].duplicate)
			file_locks_remove(locks, &locks->images[i]);
		else
			i++;
	}
}
