/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_spaces.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "locking/block_device.h"
#include "locking/file_open.h"
#include "locking/lease.h"
#include "locking/path_hash.h"

/* Where this host keeps the lock files of its block devices. */
#define DEVICE_LOCKS "/run/vmlatch-devices"

int file_spaces_init(struct file_spaces *spaces, const struct lock_params *params)
{
	const char *devices = params && params->device_locks ? params->device_locks : DEVICE_LOCKS;
	const char *lockspace = params ? params->lockspace : NULL;

	*spaces = (struct file_spaces){
		.lockspace = lockspace ? strdup(lockspace) : NULL,
		.by_identity = params && params->lockspace_by_identity,
		.devices = strdup(devices),
	};
	return !spaces->devices || (lockspace && !spaces->lockspace) ? -ENOMEM : 0;
}

void file_spaces_finish(struct file_spaces *spaces)
{
	free(spaces->lockspace);
	free(spaces->devices);
}

/* Those of the group that may write to the disk may lock it, too; who may only read it may not. */
static struct lock_file_access access_in_lockspace(const struct file_image *image)
{
	struct lock_file_access access = { .mode = 0600, .owner = -1, .group = -1 };
	struct stat info;

	if (fstat(image->places[0].life, &info) == 0 && (info.st_mode & S_IWGRP)) {
		access.mode |= S_IRGRP | S_IWGRP;
		access.group = info.st_gid;
	}
	return access;
}

/* DIR/NAME of one kind, if the image has no such place yet. */
static int place_add(struct file_image *image, enum file_place_kind kind, const char *dir,
	const char *name, struct file_place **ret)
{
	char path[PATH_MAX];
	size_t i;

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
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
		if (kind == FILE_PLACE_LOCKSPACE)
			image->places[i].access = access_in_lockspace(image);
		image->n_places++;
	}
	if (ret)
		*ret = &image->places[i];
	return 0;
}

static int spelling_add(
	const struct file_spaces *spaces, struct file_image *image, const char *path)
{
	char hash[PATH_HASH_SIZE];

	return place_add(
		image, FILE_PLACE_LOCKSPACE, spaces->lockspace, path_hash(path, hash), NULL);
}

/* Every spelling: the one that the kernel has for the open file, and those that it was given by. */
static int spellings_add(const struct file_spaces *spaces, struct file_image *image)
{
	char link[64], path[PATH_MAX];
	ssize_t len;
	size_t i;
	int ret;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", image->places[0].life);
	len = readlink(link, path, sizeof(path) - 1);
	if (len < 0)
		return -errno;
	path[len] = '\0';
	ret = spelling_add(spaces, image, path);
	if (ret == 0)
		ret = spelling_add(spaces, image, image->resource.path);
	for (i = 0; ret == 0 && i < image->spellings.n; i++)
		ret = spelling_add(spaces, image, image->spellings.items[i]);
	return ret;
}

static int identity_add(const struct file_spaces *spaces, struct file_image *image)
{
	char name[32];

	snprintf(name, sizeof(name), "ino-%" PRIu64, image->resource.id.ino);
	return place_add(image, FILE_PLACE_LOCKSPACE, spaces->lockspace, name, NULL);
}

/* A partition's users and its disk's keep each other out; those of two partitions do not. */
static enum file_use use_of_whole_disk(enum resource_mode mode)
{
	return mode == RESOURCE_READER ? FILE_USE_PART_READER : FILE_USE_PART_WRITER;
}

/*
 * The rights of the lock file are the device's: who may use the one may lock the
 * other. @name: the kernel's, of the device that the key is about.
 */
static int device_place_add(const struct file_spaces *spaces, struct file_image *image,
	const char *name, const char *key, struct file_place **ret)
{
	char path[BLOCK_NAME_SIZE + sizeof("/dev/")];
	struct stat node;
	int code = place_add(image, FILE_PLACE_DEVICE, spaces->devices, key, ret);

	if (code < 0)
		return code;
	snprintf(path, sizeof(path), "/dev/%s", name);
	if (stat(path, &node) < 0 || !S_ISBLK(node.st_mode))
		code = fstat(image->places[0].life, &node); /* a /dev of its own */
	if (code < 0)
		return -errno;
	(*ret)->access = (struct lock_file_access){
		.mode = node.st_mode & 0666, .owner = node.st_uid, .group = node.st_gid
	};
	return 0;
}

/* Other hosts' users of the same storage, of a partition's disk too. */
static int lockspace_keys_add(const struct file_spaces *spaces, struct file_image *image,
	const struct block_device *device)
{
	struct file_place *place;
	int ret = place_add(image, FILE_PLACE_LOCKSPACE, spaces->lockspace, device->key, NULL);

	if (ret < 0 || !device->disk_key[0])
		return ret;
	ret = place_add(image, FILE_PLACE_LOCKSPACE, spaces->lockspace, device->disk_key, &place);
	if (ret == 0)
		place->use = use_of_whole_disk(image->resource.mode);
	return ret;
}

/* No right to it, or its name is none here. All else may be otherwise in a moment. */
static bool is_not_ours(int code)
{
	static const int codes[] = { -EACCES, -EPERM, -EROFS, -ENOENT, -ENOTDIR, -EISDIR, -EINVAL };
	size_t i;

	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		if (code == codes[i])
			return true;
	}
	return false;
}

/*
 * Who uses the file beneath a loop device itself meets us there. One that we may not
 * open, or that has no name any more, is nobody's to use either.
 */
static int backing_add(
	struct file_image *image, const struct block_device *device, struct error *err)
{
	enum file_use use = device->disk_key[0] ? use_of_whole_disk(image->resource.mode)
						: file_use_of(image->resource.mode);
	struct file_place *place = &image->places[image->n_places];
	bool entered = image->rights->entered;
	struct resource_identity id;
	size_t i;
	int fd, code;

	for (i = 0; i < image->n_places; i++) {
		if (image->places[i].kind == FILE_PLACE_BACKING)
			return 0;
	}
	file_rights_leave(image->rights);
	fd = file_open(device->backing, file_use_writes(use), &id, err);
	code = entered ? file_rights_enter(image->rights, err) : 0;
	if (fd >= 0)
		close(fd);
	if (fd < 0 || code < 0)
		return code < 0 || is_not_ours(fd) ? code : fd;
	if (i == FILE_PLACES_MAX)
		return -E2BIG;
	code = file_place_init(place, FILE_PLACE_BACKING, device->backing, image->rights);
	if (code < 0)
		return code;
	place->use = use;
	image->n_places++;
	return 0;
}

static int device_add(const struct file_spaces *spaces, struct file_image *image, struct error *err)
{
	struct block_device device;
	struct file_place *place;
	int ret = block_device_find(&block_sources, image->resource.id.dev, &device, err);

	if (ret < 0)
		return ret;
	ret = device_place_add(spaces, image, device.name, device.key, &place);
	if (ret == 0 && device.disk_key[0]) {
		ret = device_place_add(spaces, image, device.disk_name, device.disk_key, &place);
		if (ret == 0)
			place->use = use_of_whole_disk(image->resource.mode);
	}
	if (ret == 0 && spaces->lockspace && (device.key_is_stable || spaces->by_identity))
		ret = lockspace_keys_add(spaces, image, &device);
	if (ret == 0 && spaces->lockspace && !spaces->by_identity)
		ret = spellings_add(spaces, image);
	/* the last: the others' records know names */
	return ret == 0 && device.backing[0] ? backing_add(image, &device, err) : ret;
}

static int lease_add(const struct file_spaces *spaces, struct file_image *image, struct error *err)
{
	_cleanup_(freep) char *dir = NULL;
	struct lease lease;
	int ret = lease_from_text(image->resource.path, &lease, err);

	if (ret < 0)
		return error_status(err, ret, EX_USAGE);
	if (lease.offset)
		return error_status(err,
			error_set(err, -EINVAL,
				"lease %s: the file driver locks whole files: its offset must be 0",
				image->resource.path),
			EX_USAGE);
	if (!lease.path[0] && !spaces->lockspace)
		return error_status(err,
			error_set(err, -EINVAL,
				"lease %s: say where it is, by SPACE:KEY:PATH or by --lockspace",
				image->resource.path),
			EX_USAGE);
	if (asprintf(&dir, "%s/%s", lease.path[0] ? lease.path : spaces->lockspace, lease.space) <
		0) {
		dir = NULL;
		return -ENOMEM;
	}
	return place_add(image, FILE_PLACE_LEASE, dir, lease.key, NULL);
}

static int places_add(const struct file_spaces *spaces, struct file_image *image, struct error *err)
{
	if (image->resource.kind == RESOURCE_LEASE)
		return lease_add(spaces, image, err);
	if (image->resource.id.ino == RESOURCE_INO_DEVICE)
		return device_add(spaces, image, err);
	if (!spaces->lockspace)
		return 0;
	return spaces->by_identity ? identity_add(spaces, image) : spellings_add(spaces, image);
}

int file_spaces_derive(
	const struct file_spaces *spaces, struct file_image *image, struct error *err)
{
	struct error why = { 0 };
	int ret = places_add(spaces, image, &why);

	if (ret == 0)
		return 0;
	if (!*why.text)
		error_set(&why, ret, "find the lock files of %s: %s", image->resource.path,
			ret == -E2BIG ? "it has too many names" : strerror(-ret));
	if (err)
		*err = why;
	return ret;
}
