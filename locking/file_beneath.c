/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_beneath.h"

#include <errno.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "locking/block_device.h"
#include "locking/file_open.h"

#define LAYERS_MAX 256

/* A device beneath the one that is used. */
struct layer {
	dev_t dev;
	enum file_use use;
	bool by_node; /* used as a file is, so that its other users do not hear of it */
};

struct layers {
	struct layer items[LAYERS_MAX];
	size_t n;
};

/* A partition's users and its disk's keep each other out; those of two partitions do not. */
static enum file_use use_of_whole(enum file_use use)
{
	return use == FILE_USE_READER || use == FILE_USE_PART_READER ? FILE_USE_PART_READER
								     : FILE_USE_PART_WRITER;
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
	int code = file_spaces_add(image, FILE_PLACE_DEVICE, spaces->devices, key, ret);

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
	const struct block_device *device, enum file_use use)
{
	struct stat node;
	int ret;

	if (!device->key_is_stable && !spaces->by_identity)
		return 0;
	if (fstat(image->places[0].life, &node) < 0)
		return -errno;
	ret = file_spaces_add_shared(spaces, image, device->key, &node, use);
	if (ret == 0 && device->disk_key[0])
		ret = file_spaces_add_shared(
			spaces, image, device->disk_key, &node, use_of_whole(use));
	return ret;
}

/* This host's and, where there is a lockspace, all hosts'. */
static int device_places_add(const struct file_spaces *spaces, struct file_image *image,
	const struct block_device *device, enum file_use use)
{
	struct file_place *place;
	int ret = device_place_add(spaces, image, device->name, device->key, &place);

	if (ret < 0)
		return ret;
	place->use = use;
	if (device->disk_key[0]) {
		ret = device_place_add(spaces, image, device->disk_name, device->disk_key, &place);
		if (ret < 0)
			return ret;
		place->use = use_of_whole(use);
	}
	return spaces->lockspace ? lockspace_keys_add(spaces, image, device, use) : 0;
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

/* Returns 1 with what it is, 0 if it is not ours to use, or -errno. */
static int backing_look(struct file_image *image, const char *path, enum file_use use,
	struct stat *ret, struct error *err)
{
	bool entered = image->rights->entered;
	_cleanup_(closep) int fd = -1;
	struct resource_identity id;
	int code;

	file_rights_leave(image->rights);
	fd = file_open(path, file_use_writes(use), &id, err);
	code = entered ? file_rights_enter(image->rights, err) : 0;
	if (code < 0)
		return code;
	if (fd < 0)
		return is_not_ours(fd) ? 0 : fd;
	return fstat(fd, ret) < 0 ? -errno : 1;
}

static bool has_backing(const struct file_image *image, const struct stat *info)
{
	size_t i;

	for (i = 0; i < image->n_places; i++) {
		if (image->places[i].kind == FILE_PLACE_BACKING && image->places[i].life >= 0 &&
			resource_identity_is(&image->places[i].id, info))
			return true;
	}
	return false;
}

/* As who uses that file itself would have it. */
static int backing_add(const struct file_spaces *spaces, struct file_image *image, const char *path,
	const struct stat *info, enum file_use use)
{
	struct resource_identity id = resource_identity_of(info);
	struct file_place *place;
	char name[PATH_HASH_SIZE];
	int ret;

	if (has_backing(image, info)) /* by the name that it had */
		return 0;
	ret = file_image_add_place(image, FILE_PLACE_BACKING, path, &place);
	if (ret < 0)
		return ret;
	place->use = use;
	if (!spaces->lockspace || (spaces->by_identity && id.ino == RESOURCE_INO_DEVICE))
		return 0;
	if (spaces->by_identity)
		file_spaces_inode_name(&id, name);
	else
		path_hash(path, name);
	return file_spaces_add_shared(spaces, image, name, info, use);
}

static int layer_push(struct layers *layers, struct layer layer)
{
	size_t i;

	for (i = 0; i < layers->n; i++) {
		if (layers->items[i].dev == layer.dev)
			return 0;
	}
	if (layers->n == LAYERS_MAX)
		return -E2BIG;
	layers->items[layers->n++] = layer;
	return 0;
}

static int parts_push(struct layers *layers, const struct block_device *device, enum file_use use,
	struct error *err)
{
	dev_t parts[LAYERS_MAX];
	int n = block_device_parts(&block_sources, device, parts, LAYERS_MAX, err), i, ret = 0;

	if (n < 0)
		return n;
	/* the kernel keeps their other users out itself; not those of what is beneath */
	for (i = 0; i < n && ret == 0; i++)
		ret = layer_push(layers, (struct layer){ parts[i], use_of_whole(use), false });
	return ret;
}

/* What this layer stands on. */
static int layer_look_below(const struct file_spaces *spaces, struct file_image *image,
	const struct block_device *device, struct layers *layers, size_t at, struct error *err)
{
	enum file_use use = layers->items[at].use;
	struct stat info;
	int ret;

	if (device->disk_key[0])
		use = use_of_whole(use);
	if (!device->backing[0])
		return parts_push(layers, device, use, err);
	ret = backing_look(image, device->backing, use, &info, err);
	if (ret <= 0)
		return ret;
	ret = backing_add(spaces, image, device->backing, &info, use);
	if (ret == 0 && S_ISBLK(info.st_mode))
		ret = layer_push(layers, (struct layer){ info.st_rdev, use, true });
	return ret;
}

static int beneath_add(const struct file_spaces *spaces, struct file_image *image,
	const struct block_device *top, struct error *err)
{
	struct layers layers = { .n = 1 };
	struct block_device device = *top;
	size_t i;
	int ret;

	layers.items[0] = (struct layer){ top->dev, file_use_of(image->resource.mode), false };
	ret = layer_look_below(spaces, image, &device, &layers, 0, err);
	for (i = 1; i < layers.n && ret == 0; i++) {
		ret = block_device_find(&block_sources, layers.items[i].dev, &device, err);
		if (ret == 0 && layers.items[i].by_node)
			ret = device_places_add(spaces, image, &device, layers.items[i].use);
		if (ret == 0)
			ret = layer_look_below(spaces, image, &device, &layers, i, err);
	}
	return ret;
}

int file_spaces_add_device(
	const struct file_spaces *spaces, struct file_image *image, struct error *err)
{
	enum file_use use = file_use_of(image->resource.mode);
	struct block_device device;
	int ret = block_device_find(&block_sources, image->resource.id.dev, &device, err);

	if (ret == 0)
		ret = device_places_add(spaces, image, &device, use);
	if (ret == 0 && spaces->lockspace && !spaces->by_identity)
		ret = file_spaces_add_spellings(spaces, image);
	/* the last: the others' records know names */
	return ret == 0 ? beneath_add(spaces, image, &device, err) : ret;
}
