/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/disk_images.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

static void disk_image_finish(struct disk_image *image)
{
	free(image->path);
	free(image->other_path);
	if (image->header)
		image_finish(image->header);
	free(image->header);
	closep(&image->fd);
}

void disk_images_finish(struct disk_images *images)
{
	size_t i;

	for (i = 0; i < images->n; i++)
		disk_image_finish(&images->items[i]);
	free(images->items);
	free(images->by_id);
	*images = (struct disk_images){ 0 };
}

static bool comes_before(const struct resource_identity *a, const struct resource_identity *b)
{
	return a->dev < b->dev || (a->dev == b->dev && a->ino < b->ino);
}

/* How many identities come before this one. */
static size_t rank_find(const struct disk_images *images, const struct resource_identity *id)
{
	size_t low = 0, high = images->n;

	while (low < high) {
		size_t middle = low + (high - low) / 2;

		if (comes_before(&images->items[images->by_id[middle]].id, id))
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

static size_t find_at_rank(
	const struct disk_images *images, size_t rank, const struct resource_identity *id)
{
	size_t place;

	if (rank == images->n)
		return CHAIN_NO_IMAGE;
	place = images->by_id[rank];
	return resource_identity_equal(&images->items[place].id, id) ? place : CHAIN_NO_IMAGE;
}

size_t disk_images_find(const struct disk_images *images, const struct resource_identity *id)
{
	return find_at_rank(images, rank_find(images, id), id);
}

static int images_reserve(struct disk_images *images)
{
	size_t size = images->size ? images->size * 2 : 16;
	struct disk_image *items;
	size_t *by_id;

	if (images->n < images->size)
		return 0;
	items = reallocarray(images->items, size, sizeof(*items));
	if (!items)
		return -ENOMEM;
	images->items = items;
	by_id = reallocarray(images->by_id, size, sizeof(*by_id));
	if (!by_id)
		return -ENOMEM;
	images->by_id = by_id;
	images->size = size;
	return 0;
}

int disk_images_add(struct disk_images *images, const struct resource_identity *id,
	const char *path, size_t *ret)
{
	struct disk_image image = { .id = *id, .parent = CHAIN_NO_IMAGE, .fd = -1 };
	size_t rank = rank_find(images, id), place = find_at_rank(images, rank, id);

	if (place == CHAIN_NO_IMAGE) {
		if (images_reserve(images) < 0)
			return -ENOMEM;
		image.path = strdup(path);
		if (!image.path)
			return -ENOMEM;
		place = images->n++;
		images->items[place] = image;
		memmove(images->by_id + rank + 1, images->by_id + rank,
			(place - rank) * sizeof(*images->by_id));
		images->by_id[rank] = place;
	}
	*ret = place;
	return 0;
}
