/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_image.h"

#include <errno.h>
#include <string.h>

#include "base/clock.h"
#include "locking/lock_conflict.h"

int file_image_init(struct file_image *image, const struct resource *resource)
{
	struct file_image fresh = { .n_places = 1 };
	int ret = resource_copy(&fresh.resource, resource);

	if (ret < 0)
		return ret;
	fresh.places[0] = (struct file_place){
		.path = fresh.resource.path,
		.use = file_use_of(resource->mode),
		.life = -1,
		.guard = -1,
	};
	*image = fresh;
	return 0;
}

void file_image_finish(struct file_image *image)
{
	size_t i;

	for (i = 0; i < image->n_places; i++)
		file_place_finish(&image->places[i]);
	resource_finish(&image->resource);
}

bool file_image_is_open(const struct file_image *image)
{
	return image->places[0].life >= 0;
}

void file_image_close(struct file_image *image)
{
	size_t i;

	for (i = 0; i < image->n_places; i++)
		file_place_close(&image->places[i]);
}

int file_image_open(struct file_image *image, struct error *err)
{
	struct file_place *place = &image->places[0];
	int ret;

	place->use = file_use_of(image->resource.mode);
	ret = file_place_open(place, err);
	if (ret == 0)
		image->resource.id = place->id;
	return ret;
}

static int take_failed(const struct file_place *place, int code, struct error *err)
{
	char path[PATH_SHORT_SIZE];

	path_short(place->path, path);
	if (file_lock_is_unsupported(code))
		return error_status(err,
			error_set(err, code,
				"%s cannot be locked: its file system has no locks (%s); move it "
				"to one that has",
				path, strerror(-code)),
			65);
	return error_status(err, error_set(err, code, "lock %s: %s", path, strerror(-code)), 71);
}

/* All of them, or none. */
static int places_take(struct file_image *image, struct error *err)
{
	struct error opening = { 0 };
	size_t i, taken;
	int ret = 0;

	for (taken = 0; taken < image->n_places; taken++) {
		ret = file_place_take(&image->places[taken], &opening);
		if (ret != 0)
			break;
	}
	for (i = 0; ret != 0 && i < taken; i++)
		file_place_drop(&image->places[i]);
	if (ret >= 0)
		return ret;
	if (!*opening.text)
		return take_failed(&image->places[taken], ret, err);
	if (err)
		*err = opening;
	return ret;
}

int file_image_take(struct file_image *image, struct error *err)
{
	int ret = image->skipped ? 0 : places_take(image, err);

	if (ret < 0 && image->resource.mode == RESOURCE_READER && file_lock_is_unsupported(ret)) {
		file_image_close(image);
		image->skipped = true;
		ret = 0;
	}
	image->held |= ret == 0;
	return ret;
}

void file_image_retake(struct file_image *image)
{
	size_t i;

	for (i = 0; i < image->n_places && !image->skipped; i++)
		image->places[i].lost = file_place_take(&image->places[i], NULL) != 0;
	image->held = true;
}

int file_image_drop(struct file_image *image, struct error *err)
{
	size_t i;
	int ret = 0;

	if (!image->held)
		return 0;
	for (i = 0; i < image->n_places && ret == 0 && !image->skipped; i++)
		ret = file_place_drop(&image->places[i]);
	if (ret != 0) {
		file_image_retake(image);
		return error_set(err, ret, "unlock %s: %s", image->resource.path, strerror(-ret));
	}
	image->held = false;
	image->armed = false;
	return 0;
}

int file_image_arm(struct file_image *image, const struct lock_owner *owner, struct error *err)
{
	struct file_place *place = &image->places[0];
	struct record record;
	int ret;

	if (!image->held || image->armed)
		return 0;
	if (image->resource.mode == RESOURCE_EXCLUSIVE) {
		record.id = image->resource.id;
		record.owner = *owner;
		record.since = clock_realtime_s();
		ret = file_record_arm(place->life, &record, &place->record, err);
		if (ret < 0)
			return error_prefix(err, ret, "%s", image->resource.path);
	}
	image->armed = true;
	return 0;
}

int file_image_check(const struct file_image *image, struct error *err)
{
	size_t i;
	int ret = 0;

	if (!file_image_has_lines(image))
		return 0;
	for (i = 0; i < image->n_places && ret == 0; i++)
		ret = file_place_check(&image->places[i], err);
	return ret;
}
