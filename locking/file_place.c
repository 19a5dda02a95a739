/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_place.h"

#include <errno.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "locking/file_open.h"

void file_place_close(struct file_place *place)
{
	closep(&place->life);
	closep(&place->guard);
	place->life = place->guard = -1;
}

void file_place_finish(struct file_place *place)
{
	file_place_close(place);
	free(take_ptr(place->record));
}

int file_place_open(struct file_place *place, struct error *err)
{
	place->life = file_open(place->path, file_use_writes(place->use), &place->id, err);
	return place->life < 0 ? place->life : 0;
}

static int guard_open(struct file_place *place, struct error *err)
{
	struct resource_identity id;
	int fd = file_open_again(place->path, file_use_writes(place->use), &id, err);

	if (fd == -ENOENT)
		return FILE_PLACE_REPLACED;
	if (fd < 0)
		return fd;
	if (!resource_identity_equal(&id, &place->id)) {
		close(fd);
		return FILE_PLACE_REPLACED;
	}
	place->guard = fd;
	return 0;
}

int file_place_take(struct file_place *place, struct error *err)
{
	int ret = file_lock_take(place->life, FILE_LINE_LIFE, place->use);

	if (ret != 0)
		return ret;
	if (place->guard < 0)
		ret = guard_open(place, err);
	if (ret == 0)
		ret = file_lock_take(place->guard, FILE_LINE_GUARD, place->use);
	if (ret != 0)
		file_lock_drop(place->life, FILE_LINE_LIFE, place->use);
	else
		place->lost = false;
	return ret;
}

int file_place_drop(struct file_place *place)
{
	int ret;

	if (place->record)
		file_record_clear(place->life, place->record);
	ret = file_lock_drop(place->guard, FILE_LINE_GUARD, place->use);
	if (ret == 0)
		ret = file_lock_drop(place->life, FILE_LINE_LIFE, place->use);
	if (ret == 0)
		free(take_ptr(place->record));
	else
		place->lost = file_place_take(place, NULL) != 0;
	return ret;
}

int file_place_check(const struct file_place *place, struct error *err)
{
	int life = file_lock_is_held(place->life, FILE_LINE_LIFE, place->use);
	int guard = file_lock_is_held(place->guard, FILE_LINE_GUARD, place->use);

	if (life < 0 || guard < 0)
		return error_set(err, life < 0 ? life : guard, "cannot see our lock on %s in /proc",
			place->path);
	if (life && guard && !place->lost)
		return 0;
	return error_set(err, LOCK_LOST, "the lock on %s is gone: its %s was unlocked", place->path,
		life ? "guard byte" : "first byte");
}
