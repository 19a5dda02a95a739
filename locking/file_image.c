/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_image.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "locking/file_lock.h"
#include "locking/file_open.h"
#include "locking/file_record.h"
#include "locking/lock_conflict.h"

void file_image_close(struct file_image *image)
{
	closep(&image->life);
	closep(&image->guard);
	image->life = image->guard = -1;
}

void file_image_finish(struct file_image *image)
{
	file_image_close(image);
	free(take_ptr(image->record));
	resource_finish(&image->resource);
}

int file_image_open(struct file_image *image, struct error *err)
{
	image->life = file_open(&image->resource, &image->resource.id, err);
	return image->life < 0 ? image->life : 0;
}

static int guard_open(struct file_image *image, struct error *err)
{
	struct resource_identity id;
	int fd = file_open_again(&image->resource, &id, err);

	if (fd == -ENOENT)
		return FILE_IMAGE_REPLACED;
	if (fd < 0)
		return fd;
	if (!resource_identity_equal(&id, &image->resource.id)) {
		close(fd);
		return FILE_IMAGE_REPLACED;
	}
	image->guard = fd;
	return 0;
}

/* Both lines, or none. */
static int lines_take(struct file_image *image, struct error *err)
{
	enum resource_mode mode = image->resource.mode;
	int ret = file_lock_take(image->life, FILE_LINE_LIFE, mode);

	if (ret != 0)
		return ret;
	if (image->guard < 0)
		ret = guard_open(image, err);
	if (ret == 0)
		ret = file_lock_take(image->guard, FILE_LINE_GUARD, mode);
	if (ret != 0)
		file_lock_drop(image->life, FILE_LINE_LIFE, mode);
	return ret;
}

static int take_failed(struct file_image *image, int code, struct error *err)
{
	char path[PATH_SHORT_SIZE];

	path_short(image->resource.path, path);
	if (file_lock_is_unsupported(code))
		return error_status(err,
			error_set(err, code,
				"%s cannot be locked: its file system has no locks (%s); move it "
				"to one that has",
				path, strerror(-code)),
			65);
	return error_status(err, error_set(err, code, "lock %s: %s", path, strerror(-code)), 71);
}

int file_image_take(struct file_image *image, struct error *err)
{
	struct error opening = { 0 };
	int ret = image->skipped ? 0 : lines_take(image, &opening);

	if (ret < 0 && *opening.text) {
		if (err)
			*err = opening;
		return ret;
	}
	if (ret < 0 && image->resource.mode == RESOURCE_READER && file_lock_is_unsupported(ret)) {
		file_image_close(image);
		image->skipped = true;
		ret = 0;
	}
	if (ret < 0)
		return take_failed(image, ret, err);
	if (ret == 0) {
		image->held = true;
		image->lost = false;
	}
	return ret;
}

static int lines_drop(struct file_image *image)
{
	enum resource_mode mode = image->resource.mode;
	int ret;

	if (image->skipped)
		return 0;
	ret = file_lock_drop(image->guard, FILE_LINE_GUARD, mode);
	return ret ? ret : file_lock_drop(image->life, FILE_LINE_LIFE, mode);
}

int file_image_drop(struct file_image *image, struct error *err)
{
	int ret;

	if (!image->held)
		return 0;
	if (image->record)
		file_record_clear(image->life, image->record);
	ret = lines_drop(image);
	if (ret != 0) {
		image->lost = lines_take(image, NULL) != 0;
		return error_set(err, ret, "unlock %s: %s", image->resource.path, strerror(-ret));
	}
	free(take_ptr(image->record));
	image->held = false;
	image->armed = false;
	return 0;
}

int file_image_arm(struct file_image *image, const struct lock_owner *owner, struct error *err)
{
	struct record record;
	int ret;

	if (!image->held || image->armed)
		return 0;
	if (image->resource.mode == RESOURCE_EXCLUSIVE) {
		record.id = image->resource.id;
		record.owner = *owner;
		record.since = clock_realtime_s();
		ret = file_record_arm(image->life, &record, &image->record, err);
		if (ret < 0)
			return error_prefix(err, ret, "%s", image->resource.path);
	}
	image->armed = true;
	return 0;
}

int file_image_check(const struct file_image *image, struct error *err)
{
	enum resource_mode mode = image->resource.mode;
	int life, guard;

	if (!image->held || image->skipped)
		return 0;
	life = file_lock_is_held(image->life, FILE_LINE_LIFE, mode);
	guard = file_lock_is_held(image->guard, FILE_LINE_GUARD, mode);
	if (life < 0 || guard < 0)
		return error_set(err, life < 0 ? life : guard, "cannot see our lock on %s in /proc",
			image->resource.path);
	if (life && guard && !image->lost)
		return 0;
	return error_set(err, LOCK_LOST, "the lock on %s is gone: its %s was unlocked",
		image->resource.path, life ? "guard byte" : "first byte");
}
