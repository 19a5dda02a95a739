/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "locking/file_device.h"
#include "locking/file_locks.h"
#include "locking/file_open.h"
#include "locking/holder.h"

/*
 * What others hold on a resource, seen from outside, in each of its places. Nothing
 * is locked, made or written.
 */

/* Somebody holds it here. The first place that knows his name counts. */
static void note_holder(const struct file_place *place, const struct file_record_home home,
	const struct lock_owner *self, struct lock_view *view)
{
	const struct holder_query query = {
		.fd = place->life,
		.use = FILE_USE_EXCLUSIVE,
		.home = home,
		.id = place->id,
	};

	if (view->holder.source == LOCK_HOLDER_UNKNOWN)
		holder_find(&query, self, &view->holder);
}

/*
 * As file_record_read(), with the @home that has the record: who names a lock file
 * itself has its record read as such.
 */
static int record_read(const struct file_place *place, const char *boot_id,
	struct file_record_home *home, struct record *ret)
{
	struct file_record_home text;
	int code;

	*home = text = file_place_record_home(place);
	code = file_record_read(*home, &place->id, boot_id, ret);
	if (code == 0 || home->form != FILE_RECORD_FORM_ATTRIBUTE || place->known_image)
		return code;
	text.form = FILE_RECORD_FORM_TEXT;
	if (file_record_read(text, &place->id, boot_id, ret) != 0)
		return code;
	*home = text;
	return 0;
}

static int place_look(const struct file_place *place, struct lock_view *view, struct error *err)
{
	struct lock_owner self = { 0 };
	struct file_record_home home;
	enum resource_mode mode;
	struct record record;
	struct flock lock;
	int ret;

	process_boot_id(self.boot_id); /* without it no record of this boot is checked further */
	ret = record_read(place, self.boot_id, &home, &record);
	view->recordable |= ret == 0 || ret == FILE_RECORD_NONE;
	if (ret == 0 && record.generation > view->generation)
		view->generation = record.generation;
	ret = file_lock_look(place->life, &mode, &lock);
	if (ret < 0 && !file_lock_is_unsupported(ret))
		return error_set(
			err, ret, "%s: look at its locks: %s", place->path, strerror(-ret));
	view->lockable |= ret >= 0;
	if (ret <= 0)
		return 0;
	if (!view->held)
		view->mode = mode;
	view->held = true;
	view->busy |= file_lock_conflict(place->life, place->use, &lock) > 0;
	note_holder(place, home, &self, view);
	return 0;
}

/* One that is not there is nobody's yet; one that could not be locked is refused as it would be. */
static int lock_file_look(
	struct file_place *place, bool to_lock, struct lock_view *view, struct error *err)
{
	const struct lock_file file = file_place_lock_file(place);
	int fd = file_place_is_lock_file(place) ? lock_file_open_to_look(&file, to_lock, err)
						: file_open(place->path, false, &place->id, err);

	if (fd == LOCK_FILE_MISSING)
		return 0;
	if (fd < 0)
		return fd;
	place->life = fd;
	return place_look(place, view, err);
}

static int image_look(struct file_image *image, const struct file_spaces *spaces, bool to_lock,
	struct lock_view *view, struct error *err)
{
	size_t i = image->n_places;
	int ret = file_image_is_device(image) ? file_device_check_unused(image, err) : 0;

	if (ret == 0 && i)
		ret = place_look(&image->places[0], view, err);

	view->lockable |= i == 0;
	view->recordable |= i == 0;
	if (ret == 0)
		ret = file_spaces_derive(spaces, image, err);
	view->recordable |= image->n_places > i; /* a lock file that is made has room for one */
	for (; i < image->n_places && ret == 0; i++)
		ret = lock_file_look(&image->places[i], to_lock, view, err);
	return ret;
}

/* What a reader needs is enough to see everything. */
static int image_open_to_look(struct file_image *image, int fd, struct error *err)
{
	struct file_place *place = &image->places[0];
	int ret;

	if (image->resource.kind != RESOURCE_DISK)
		return 0;
	if (fd < 0) {
		ret = place->life = file_open(place->path, false, &place->id, err);
	} else {
		ret = file_open_check(place->path, fd, &place->id, err);
		place->life = ret < 0 ? -1 : fd;
		place->known_image = true;
	}
	image->resource.id = place->id;
	return ret < 0 ? ret : 0;
}

int file_driver_look(const struct lock_look *look, struct lock_view *ret, struct error *err)
{
	_cleanup_(file_spaces_finish) struct file_spaces spaces = { 0 };
	struct lock_view view = { 0 };
	struct file_rights rights = { 0 };
	struct file_image image = { 0 };
	int code = file_spaces_init(&spaces, look->params);

	if (code == 0)
		code = file_image_init(&image, look->resource, &rights);
	if (code < 0)
		return error_set(err, code, "no memory for a look at %s", look->resource->path);
	code = image_open_to_look(&image, look->fd, err);
	view.id = image.resource.id;
	if (code == 0)
		code = image_look(&image, &spaces, look->to_lock, &view, err);
	if (look->fd >= 0)
		image.places[0].life = -1; /* the caller's */
	file_image_finish(&image);
	if (code == 0)
		*ret = view;
	return code;
}
