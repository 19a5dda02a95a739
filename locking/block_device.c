/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/block_device.h"

#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "locking/path_hash.h"

#define ATTRIBUTE_MAX (PATH_MAX + 1)

const struct block_sources block_sources = { .sys = "/sys", .proc = "/proc" };

/* A device's directory below /sys/devices, through the link that is named by its number. */
static int directory_open(const struct block_sources *sources, dev_t dev)
{
	char path[512];
	int fd;

	snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sources->sys, major(dev), minor(dev));
	fd = TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	return fd < 0 ? -errno : fd;
}

/* One line without its end. 0; -ENOENT: no such attribute, or an empty one. */
static int attribute_read(int dir, const char *name, char *ret, size_t size)
{
	_cleanup_(freep) char *text = NULL;
	int code = file_read_at(dir, name, 0, ATTRIBUTE_MAX, &text, NULL);
	size_t len;

	if (code < 0)
		return code == -ENXIO || code == -EINVAL || code == -ENOTDIR ? -ENOENT : code;
	len = strcspn(text, "\n");
	while (len && isspace((unsigned char)text[len - 1]))
		len--;
	text[len] = '\0';
	if (!len)
		return -ENOENT;
	snprintf(ret, size, "%s", text);
	return 0;
}

/* "DEVNAME=sda1" of uevent */
static int name_read(int dir, char name[static BLOCK_NAME_SIZE])
{
	_cleanup_(freep) char *text = NULL;
	int ret = file_read_at(dir, "uevent", 0, ATTRIBUTE_MAX, &text, NULL);
	char *line, *rest;

	if (ret < 0)
		return ret;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!str_starts(line, "DEVNAME="))
			continue;
		snprintf(name, BLOCK_NAME_SIZE, "%s", line + strlen("DEVNAME="));
		return 0;
	}
	return -ENODATA;
}

/* Where hardware and mappers keep the name of what they show. */
static const struct {
	const char *attribute;
	const char *kind;
} stable_names[] = {
	{ "wwid", "wwid" },        /* NVMe namespaces; SCSI since Linux 6 */
	{ "device/wwid", "wwid" }, /* SCSI, ATA */
	{ "dm/uuid", "dm" },       /* device mapper: LVM-..., mpath-..., CRYPT-... */
};

/* Letters that need no thought in a file's name; the rest, and what is long, becomes a hash. */
static void key_make(const char *kind, const char *name, char key[static BLOCK_KEY_SIZE])
{
	char hash[PATH_HASH_SIZE];
	size_t i, len = strlen(name);

	for (i = 0; i < len; i++) {
		if (!isalnum((unsigned char)name[i]) && !strchr("._:+-", name[i]))
			break;
	}
	if (i == len && len < 100)
		snprintf(key, BLOCK_KEY_SIZE, "%s-%s", kind, name);
	else
		snprintf(key, BLOCK_KEY_SIZE, "%s-%s", kind, path_hash(name, hash));
}

/*
 * What is not there is not there; but a name that could not be read just now would
 * lead to another lock file than everybody else's. @stable: other hosts know it, too.
 */
static int disk_key_read(int dir, dev_t dev, char key[static BLOCK_KEY_SIZE], bool *stable)
{
	char name[ATTRIBUTE_MAX], number[32];
	int code = -ENOENT;
	size_t i;

	for (i = 0; i < sizeof(stable_names) / sizeof(stable_names[0]) && code == -ENOENT; i++) {
		code = attribute_read(dir, stable_names[i].attribute, name, sizeof(name));
		if (code == 0)
			key_make(stable_names[i].kind, name, key);
	}
	*stable = code == 0;
	if (code != -ENOENT)
		return code;
	snprintf(number, sizeof(number), "%u:%u", major(dev), minor(dev));
	key_make("dev", number, key);
	return 0;
}

static int device_number_read(int dir, dev_t *ret)
{
	char text[64];
	unsigned first, second;
	int code = attribute_read(dir, "dev", text, sizeof(text));

	if (code < 0)
		return code;
	if (sscanf(text, "%u:%u", &first, &second) != 2)
		return -EINVAL;
	*ret = makedev(first, second);
	return 0;
}

/* A loop device's file, as long as it has a name. */
static int backing_read(int dir, struct block_device *device)
{
	char path[PATH_MAX];
	int code = attribute_read(dir, "loop/backing_file", path, sizeof(path));

	if (code == 0 && path[0] == '/')
		snprintf(device->backing, sizeof(device->backing), "%s", path);
	return code == -ENOENT ? 0 : code;
}

/* A partition's directory stands in its disk's. */
static int partition_find(int dir, const char *number, struct block_device *device)
{
	_cleanup_(closep) int disk =
		TEMP_FAILURE_RETRY(openat(dir, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	dev_t dev;
	int ret;

	if (disk < 0)
		return -errno;
	ret = device_number_read(disk, &dev);
	if (ret == 0)
		ret = name_read(disk, device->disk_name);
	if (ret == 0)
		ret = backing_read(disk, device);
	if (ret == 0)
		ret = disk_key_read(disk, dev, device->disk_key, &device->key_is_stable);
	if (ret < 0)
		return ret;
	snprintf(device->key, sizeof(device->key), "%.120s-part%.16s", device->disk_key, number);
	return 0;
}

static int device_read(int dir, struct block_device *device)
{
	char number[32];
	int code = name_read(dir, device->name);

	if (code < 0)
		return code;
	code = attribute_read(dir, "partition", number, sizeof(number));
	if (code == 0)
		return partition_find(dir, number, device);
	if (code == -ENOENT)
		code = disk_key_read(dir, device->dev, device->key, &device->key_is_stable);
	return code < 0 ? code : backing_read(dir, device);
}

int block_device_find(
	const struct block_sources *sources, dev_t dev, struct block_device *ret, struct error *err)
{
	struct block_device device = { .dev = dev };
	_cleanup_(closep) int dir = directory_open(sources, dev);
	int code = dir < 0 ? dir : device_read(dir, &device);

	if (code < 0)
		return error_set(err, code, "the kernel tells nothing of block device %u:%u: %s",
			major(dev), minor(dev), strerror(-code));
	*ret = device;
	return 0;
}

static int parts_read(int dir, dev_t *ret, size_t max)
{
	_cleanup_(closedirp) DIR *parts = file_list_at(dir, ".");
	const struct dirent *entry;
	size_t n = 0;
	int code = 0;

	if (!parts)
		return -errno;
	while (code == 0 && (entry = readdir(parts))) {
		_cleanup_(closep) int part = -1;

		if (entry->d_name[0] == '.')
			continue;
		if (n == max)
			return -E2BIG;
		part = TEMP_FAILURE_RETRY(
			openat(dir, entry->d_name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
		code = part < 0 ? -errno : device_number_read(part, &ret[n++]);
	}
	return code < 0 ? code : (int)n;
}

/* 0: it is made of nothing else. */
static int parts_find(int dir, const struct block_device *device, dev_t *ret, size_t max)
{
	const char *name = device->disk_name[0] ? "../slaves" : "slaves";
	_cleanup_(closep) int parts =
		TEMP_FAILURE_RETRY(openat(dir, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));

	if (parts < 0)
		return errno == ENOENT ? 0 : -errno;
	return parts_read(parts, ret, max);
}

int block_device_parts(const struct block_sources *sources, const struct block_device *device,
	dev_t *ret, size_t max, struct error *err)
{
	_cleanup_(closep) int dir = directory_open(sources, device->dev);
	int code = dir < 0 ? dir : parts_find(dir, device, ret, max);

	if (code < 0)
		return error_set(err, code, "what %s is made of is not known: %s", device->name,
			strerror(-code));
	return code;
}
