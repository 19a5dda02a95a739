/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_place.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "locking/file_open.h"

static const char *const kind_names[FILE_N_PLACES] = {
	[FILE_PLACE_IMAGE] = "image",
	[FILE_PLACE_LOCKSPACE] = "lockspace",
	[FILE_PLACE_LEASE] = "lease",
	[FILE_PLACE_DEVICE] = "device",
	[FILE_PLACE_BACKING] = "backing",
};

const char *file_place_kind_name(enum file_place_kind kind)
{
	return kind_names[kind];
}

int file_place_kind_from_name(const char *name)
{
	int i;

	for (i = 0; i < FILE_N_PLACES; i++) {
		if (str_equal(kind_names[i], name))
			return i;
	}
	return -1;
}

int file_place_init(struct file_place *place, enum file_place_kind kind, const char *path,
	struct file_rights *rights)
{
	char *copy = strdup(path);

	if (!copy)
		return -ENOMEM;
	*place = (struct file_place){
		.kind = kind,
		.use = FILE_USE_EXCLUSIVE,
		.path = copy,
		.rights = rights,
		.access = { .mode = 0600, .owner = -1, .group = -1 },
		.life = -1,
		.guard = -1,
	};
	return 0;
}

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
	free(take_ptr(place->path));
}

struct lock_file file_place_lock_file(const struct file_place *place)
{
	return (struct lock_file){
		.path = place->path,
		.what = kind_names[place->kind],
		.access = place->access,
		.host_wide = place->kind == FILE_PLACE_DEVICE,
	};
}

/* With our own rights, whatever the thread has now. */
static int lock_file_open_as_us(
	const struct file_place *place, struct resource_identity *ret, struct error *err)
{
	const struct lock_file file = file_place_lock_file(place);
	bool entered = place->rights->entered;
	int fd, code;

	file_rights_leave(place->rights);
	if (place->kind == FILE_PLACE_BACKING)
		fd = file_open(place->path, file_use_writes(place->use), ret, err);
	else
		fd = lock_file_open(&file, file_use_marks(place->use), ret, err);
	code = entered ? file_rights_enter(place->rights, err) : 0;
	if (code == 0)
		return fd;
	closep(&fd);
	return code;
}

/* A descriptor more of what the path leads to now. */
static int line_open(
	const struct file_place *place, struct resource_identity *ret, struct error *err)
{
	bool write = file_use_writes(place->use);

	if (place->kind != FILE_PLACE_IMAGE)
		return lock_file_open_as_us(place, ret, err);
	return place->life < 0 ? file_open(place->path, write, ret, err)
			       : file_open_again(place->path, write, ret, err);
}

int file_place_open(struct file_place *place, struct error *err)
{
	place->life = line_open(place, &place->id, err);
	return place->life < 0 ? place->life : 0;
}

static int guard_open(struct file_place *place, struct error *err)
{
	struct resource_identity id;
	int fd = line_open(place, &id, err);

	if (fd == -ENOENT && !file_place_is_lock_file(place))
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

int file_place_look(const struct file_place *place, struct error *err)
{
	struct stat info;

	if (!file_place_is_lock_file(place))
		return 0;
	if (lstat(place->path, &info) == 0)
		return resource_identity_is(&place->id, &info) ? 0 : FILE_PLACE_REPLACED;
	if (errno == ENOENT || errno == ENOTDIR)
		return FILE_PLACE_REPLACED;
	error_status(err, 0, EX_UNAVAILABLE);
	return error_set(err, -errno,
		"whether the lock file %s is still the one that others would lock cannot be seen: "
		"%s",
		place->path, strerror(errno));
}

/* With our own rights: QEMU's user need not be able to look into the directory. */
static int lock_file_look_as_us(const struct file_place *place, struct error *err)
{
	bool entered = place->rights->entered;
	int seen, code;

	file_rights_leave(place->rights);
	seen = file_place_look(place, err);
	code = entered ? file_rights_enter(place->rights, err) : 0;
	return code < 0 ? code : seen;
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
	if (ret == 0) {
		ret = lock_file_look_as_us(place, err);
		if (ret != 0)
			file_lock_drop(place->guard, FILE_LINE_GUARD, place->use);
	}
	if (ret != 0)
		file_lock_drop(place->life, FILE_LINE_LIFE, place->use);
	else
		place->lost = false;
	return ret;
}

void file_place_rename_owner(struct file_place *place, const struct lock_owner *owner)
{
	if (place->record)
		file_record_rename_owner(file_place_record_home(place), &place->record, owner);
}

int file_place_drop(struct file_place *place)
{
	int ret;

	if (place->record)
		file_record_clear(file_place_record_home(place), place->record);
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
	const int fds[] = { [FILE_LINE_LIFE] = place->life, [FILE_LINE_GUARD] = place->guard };
	int life = file_lock_is_held(fds, FILE_LINE_LIFE, place->use);
	int guard = file_lock_is_held(fds, FILE_LINE_GUARD, place->use);
	int ret;

	if (!life && guard > 0 && !place->lost) /* who else has that description? */
		return error_set(err, LOCK_LOST,
			"QEMU has unlocked %s (the first byte), as a QEMU does that was taken "
			"over; "
			"other VMs are kept out by the guard byte, until vmlatch ends",
			place->path);
	if (!life || !guard || place->lost) /* whatever the other one could tell */
		return error_set(err, LOCK_LOST, "the lock on %s is gone: its %s was unlocked",
			place->path, life ? "guard byte" : "first byte");
	if (life < 0 || guard < 0) {
		ret = life < 0 ? life : guard;
		error_status(err, 0, EX_UNAVAILABLE);
		return error_set(err, ret, "whether %s is still locked cannot be seen: %s",
			place->path, strerror(-ret));
	}
	ret = file_place_look(place, err);
	if (ret != FILE_PLACE_REPLACED)
		return ret;
	return error_set(err, LOCK_LOST,
		"the lock file %s was removed or replaced by another one, so that others can lock "
		"it too",
		place->path);
}

struct file_record_home file_place_record_home(const struct file_place *place)
{
	struct file_record_home home = { place->life, FILE_RECORD_FORM_TEXT };

	if (!file_place_is_lock_file(place))
		home.form = place->id.ino == RESOURCE_INO_DEVICE ? FILE_RECORD_FORM_NONE
								 : FILE_RECORD_FORM_ATTRIBUTE;
	return home;
}

int file_place_read_record(
	const struct file_place *place, const struct lock_owner *owner, struct record *ret)
{
	int code;

	*ret = (struct record){ 0 };
	code = file_record_read(file_place_record_home(place), &place->id, owner->boot_id, ret);
	return code < 0 ? code : 0;
}
