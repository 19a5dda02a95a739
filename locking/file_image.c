/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_image.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "locking/file_device.h"
#include "locking/lock_conflict.h"

int file_image_init(
	struct file_image *image, const struct resource *resource, struct file_rights *rights)
{
	struct file_image fresh = { .rights = rights };
	int ret = resource_copy(&fresh.resource, resource);

	if (ret == 0 && resource->kind == RESOURCE_DISK) {
		ret = file_place_init(&fresh.places[0], FILE_PLACE_IMAGE, resource->path, rights);
		fresh.places[0].use = file_use_of(resource->mode);
		fresh.n_places = ret == 0;
	}
	if (ret < 0) {
		resource_finish(&fresh.resource);
		return ret;
	}
	*image = fresh;
	return 0;
}

void file_image_finish(struct file_image *image)
{
	size_t i;

	for (i = 0; i < image->n_places; i++)
		file_place_finish(&image->places[i]);
	strv_finish(&image->spellings);
	resource_finish(&image->resource);
}

int file_image_add_place(struct file_image *image, enum file_place_kind kind, const char *path,
	struct file_place **ret)
{
	size_t i;

	for (i = 0; i < image->n_places; i++) {
		if (str_equal(image->places[i].path, path))
			break;
	}
	if (i == FILE_PLACES_MAX)
		return -E2BIG;
	if (i == image->n_places) {
		if (file_place_init(&image->places[i], kind, path, image->rights) < 0)
			return -ENOMEM;
		image->places[i].use = file_use_of(image->resource.mode);
		image->n_places++;
	}
	*ret = &image->places[i];
	return 0;
}

bool file_image_is_open(const struct file_image *image)
{
	return image->n_places && image->places[0].life >= 0;
}

/* What was derived is derived anew the next time: names may change meanwhile. */
void file_image_close(struct file_image *image)
{
	size_t stay = image->resource.kind == RESOURCE_DISK;

	if (stay && image->n_places)
		file_place_close(&image->places[0]);
	while (image->n_places > stay)
		file_place_finish(&image->places[--image->n_places]);
}

void file_image_begin(struct file_image *image)
{
	image->n_held_before = image->held ? image->n_places : 0;
	image->n_spellings_before = image->spellings.n;
	image->opened_now = false;
	image->taken_now = false;
	image->duplicate = false;
}

bool file_image_is_complete(const struct file_image *image)
{
	return image->held && image->spellings.n == image->n_spellings_before;
}

void file_image_forget(struct file_image *image)
{
	struct strv *names = &image->spellings;

	for (; names->n > image->n_spellings_before; names->n--)
		free(take_ptr(names->items[names->n - 1]));
	while (image->held && image->n_places > image->n_held_before)
		file_place_finish(&image->places[--image->n_places]);
}

int file_image_open(struct file_image *image, struct error *err)
{
	struct file_place *place = &image->places[0];
	int ret;

	if (image->resource.kind != RESOURCE_DISK)
		return 0;
	place->use = file_use_of(image->resource.mode);
	ret = file_place_open(place, err);
	if (ret < 0)
		return ret;
	image->resource.id = place->id;
	if (file_image_is_device(image))
		file_device_make_canonical(image);
	return 0;
}

int file_image_open_places(struct file_image *image, struct error *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < image->n_places && ret == 0; i++) {
		if (image->places[i].life < 0)
			ret = file_place_open(&image->places[i], err);
	}
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

/* All of them that were not held before, or none. */
static int places_take(struct file_image *image, struct error *err)
{
	struct error opening = { 0 };
	size_t i, taken, first = image->n_held_before;
	int ret = 0;

	for (taken = first; taken < image->n_places; taken++) {
		ret = file_place_take(&image->places[taken], &opening);
		if (ret != 0)
			break;
	}
	for (i = first; ret != 0 && i < taken; i++)
		file_place_drop(&image->places[i]);
	if (ret == FILE_PLACE_REPLACED) {
		file_place_close(&image->places[taken]);
		image->reopened |= !image->opened_now;
	}
	image->busy_place = taken;
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

	/* of the image only: where a lock file should keep it and cannot, a writer may be beside it
	 */
	if (ret < 0 && image->resource.mode == RESOURCE_READER && image->busy_place == 0 &&
		file_lock_is_unsupported(ret)) {
		file_image_close(image);
		image->skipped = true;
		ret = 0;
	}
	image->held |= ret == 0;
	return ret;
}

void file_image_untake(struct file_image *image)
{
	size_t i;

	for (i = image->n_held_before; i && i < image->n_places; i++)
		file_place_drop(&image->places[i]);
	if (!image->n_held_before)
		file_image_drop(image, NULL);
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
	image->n_armed = 0;
	return 0;
}

bool file_image_is_recorded(const struct file_image *image)
{
	size_t i;

	for (i = 0; i < image->n_places; i++) {
		if (image->places[i].record)
			return true;
	}
	return false;
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
