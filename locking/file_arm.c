/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "locking/file_image.h"

/* Arming an image: what its places' records say from here on. */

/* One more than any of its places knows. 0 or -errno with a sentence. */
static int generation_raise(struct file_image *image, struct record *record, struct error *err)
{
	struct record old;
	size_t i;
	int ret;

	for (i = 0; i < image->n_places; i++) {
		struct file_place *place = &image->places[i];

		ret = file_record_read(
			file_place_record_home(place), &place->id, record->owner.boot_id, &old);
		if (ret < 0)
			return error_set(
				err, ret, "read the record of %s: %s", place->path, strerror(-ret));
		/* what is beneath a loop device is another image, whose users look at its times */
		place->recordable = ret != FILE_RECORD_NOWHERE && place->kind != FILE_PLACE_BACKING;
		if (ret == 0 && old.generation > record->generation)
			record->generation = old.generation;
		if (ret == 0 && place->use == FILE_USE_EXCLUSIVE)
			record->parts = old.parts;
	}
	record->generation = record_count_on(record->generation);
	return 0;
}

/* Returns 0 or -errno with a sentence. */
static int records_write(struct file_image *image, struct record *record, struct error *err)
{
	size_t i;
	int ret = 0;

	for (i = image->n_armed; i < image->n_places && ret >= 0; i++) {
		struct file_place *place = &image->places[i];

		if (place->kind == FILE_PLACE_BACKING)
			continue;
		free(take_ptr(place->record)); /* of an attempt that failed */
		if (place->use == FILE_USE_PART_WRITER)
			ret = file_record_mark_part(
				file_place_record_home(place), &record->owner, err);
		else if (place->recordable)
			ret = file_record_write(
				file_place_record_home(place), record, &place->record, err);
		if (ret < 0)
			error_prefix(err, ret, "%s", place->path);
	}
	return ret < 0 ? ret : 0;
}

/*
 * Shared writers hold no record, and a device has no time of its last write: who
 * held it alone before finds that somebody else was there.
 */
static int records_mark(struct file_image *image, const struct lock_owner *owner, struct error *err)
{
	size_t i;
	int ret = 0;

	for (i = image->n_armed; i < image->n_places && ret >= 0 && !image->skipped; i++) {
		struct file_place *place = &image->places[i];

		if (!file_place_is_lock_file(place))
			continue;
		if (place->use == FILE_USE_PART_WRITER)
			ret = file_record_mark_part(file_place_record_home(place), owner, err);
		else
			ret = file_record_mark_shared(file_place_record_home(place), owner, err);
		if (ret < 0)
			error_prefix(err, ret, "%s", place->path);
	}
	return ret;
}

int file_image_arm(struct file_image *image, const struct lock_owner *owner, struct error *err)
{
	struct record record = { .id = image->resource.id, .owner = *owner };
	int ret;

	if (!image->held || image->n_armed == image->n_places)
		return 0;
	if (image->resource.mode == RESOURCE_EXCLUSIVE) {
		record.since = clock_realtime_s();
		ret = generation_raise(image, &record, err);
		if (ret == 0)
			ret = records_write(image, &record, err);
		if (ret < 0)
			return ret;
	} else if (image->resource.mode == RESOURCE_SHARED) {
		ret = records_mark(image, owner, err);
		if (ret < 0)
			return ret;
	}
	image->n_armed = image->n_places;
	return 0;
}
