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
#include "locking/file_beneath.h"
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

int file_spaces_add(struct file_image *image, enum file_place_kind kind, const char *dir,
	const char *name, struct file_place **ret)
{
	char path[PATH_MAX];

	if (snprintf(path, sizeof(path), "%s/%s", dir, name) >= (int)sizeof(path))
		return -ENAMETOOLONG;
	return file_image_add_place(image, kind, path, ret);
}

/* Those of the group that may write to the disk may lock it, too; who may only read it may not. */
int file_spaces_add_shared(const struct file_spaces *spaces, struct file_image *image,
	const char *name, const struct stat *disk, enum file_use use)
{
	struct file_place *place;
	int ret = file_spaces_add(image, FILE_PLACE_LOCKSPACE, spaces->lockspace, name, &place);

	if (ret < 0)
		return ret;
	place->use = use;
	if (disk->st_mode & S_IWGRP) {
		place->access.mode |= S_IRGRP | S_IWGRP;
		place->access.group = disk->st_gid;
	}
	return 0;
}

static int own_name_add(
	const struct file_spaces *spaces, struct file_image *image, const char *name)
{
	struct stat disk;

	if (fstat(image->places[0].life, &disk) < 0)
		return -errno;
	return file_spaces_add_shared(
		spaces, image, name, &disk, file_use_of(image->resource.mode));
}

static int spelling_add(
	const struct file_spaces *spaces, struct file_image *image, const char *path)
{
	char hash[PATH_HASH_SIZE];

	return own_name_add(spaces, image, path_hash(path, hash));
}

/* Every spelling: the one that the kernel has for the open file, and those that it was given by. */
int file_spaces_add_spellings(const struct file_spaces *spaces, struct file_image *image)
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

const char *file_spaces_inode_name(
	const struct resource_identity *id, char name[static PATH_HASH_SIZE])
{
	snprintf(name, PATH_HASH_SIZE, "ino-%" PRIu64, id->ino);
	return name;
}

static int identity_add(const struct file_spaces *spaces, struct file_image *image)
{
	char name[PATH_HASH_SIZE];

	return own_name_add(spaces, image, file_spaces_inode_name(&image->resource.id, name));
}

static int lease_add(const struct file_spaces *spaces, struct file_image *image, struct error *err)
{
	_cleanup_(freep) char *dir = NULL;
	struct file_place *place;
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
	return file_spaces_add(image, FILE_PLACE_LEASE, dir, lease.key, &place);
}

static int places_add(const struct file_spaces *spaces, struct file_image *image, struct error *err)
{
	if (image->resource.kind == RESOURCE_LEASE)
		return lease_add(spaces, image, err);
	if (image->resource.id.ino == RESOURCE_INO_DEVICE)
		return file_spaces_add_device(spaces, image, err);
	if (!spaces->lockspace)
		return 0;
	return spaces->by_identity ? identity_add(spaces, image)
				   : file_spaces_add_spellings(spaces, image);
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
			ret == -E2BIG ? "too many files stand for it" : strerror(-ret));
	if (err)
		*err = why;
	return ret;
}
