/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "locking/block_device.h"

/* What this host does with a block device: mounts, swap, devices that are built on it. */

#define TABLE_MAX (16 * 1024 * 1024)

struct use {
	const struct block_sources *sources;
	char *by;
	size_t size;
};

/* The first entry of a directory, as "held by dm-3". 1, 0 or -errno. */
static int holder_look(int dir, const struct use *use)
{
	_cleanup_(closedirp) DIR *holders = file_list_at(dir, "holders");
	const struct dirent *entry;

	if (!holders)
		return errno == ENOENT ? 0 : -errno;
	while ((entry = readdir(holders))) {
		if (entry->d_name[0] == '.')
			continue;
		snprintf(use->by, use->size, "part of %s (LVM, RAID or another mapped device)",
			entry->d_name);
		return 1;
	}
	return 0;
}

static bool node_is(const char *path, dev_t dev)
{
	struct stat info;

	return path[0] == '/' && stat(path, &info) == 0 && S_ISBLK(info.st_mode) &&
	       info.st_rdev == dev;
}

/*
 * "36 35 98:0 /root /srv rw,noatime shared:1 - ext4 /dev/sda1 rw": device and
 * place; behind the dash what was mounted, which tells where a file system has
 * several devices (btrfs), and a number of its own.
 */
static bool mount_is_of(char *line, dev_t dev, char **place)
{
	char *source, *end;
	unsigned first, second;
	int at;

	if (sscanf(line, "%*d %*d %u:%u %*s %n", &first, &second, &at) != 2)
		return false;
	*place = line + at;
	source = strstr(*place, " - ");
	end = strchr(*place, ' ');
	if (end)
		*end = '\0';
	if (makedev(first, second) == dev)
		return true;
	source = source ? strchr(source + strlen(" - "), ' ') : NULL;
	if (!source)
		return false;
	source[1 + strcspn(source + 1, " ")] = '\0';
	return node_is(source + 1, dev);
}

static int mount_look(dev_t dev, char *mounts, const struct use *use)
{
	char *line, *rest, *place;

	for (line = strtok_r(mounts, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		if (!mount_is_of(line, dev, &place))
			continue;
		snprintf(use->by, use->size, "mounted on %s", place);
		return 1;
	}
	return 0;
}

/* "/dev/sda2 partition 8388604 0 -2": a node's name, so its number is asked for. */
static int swap_look(dev_t dev, char *swaps, const struct use *use)
{
	char *line, *rest;

	for (line = strtok_r(swaps, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		line[strcspn(line, " \t")] = '\0';
		if (!node_is(line, dev))
			continue;
		snprintf(use->by, use->size, "swap space");
		return 1;
	}
	return 0;
}

/* Ask one of the kernel's tables. 1, 0 or -errno. */
static int table_look(const char *name, dev_t dev, const struct use *use,
	int (*look)(dev_t dev, char *text, const struct use *use))
{
	_cleanup_(freep) char *text = NULL;
	char path[512];
	int ret;

	snprintf(path, sizeof(path), "%s/%s", use->sources->proc, name);
	ret = file_read_at(AT_FDCWD, path, 0, TABLE_MAX, &text, NULL);
	if (ret < 0)
		return ret == -ENOENT ? 0 : ret; /* a kernel without swap */
	return look(dev, text, use);
}

/* One device, without its partitions. */
static int device_look(int dir, dev_t dev, const struct use *use)
{
	int ret = holder_look(dir, use);

	if (ret == 0)
		ret = table_look("self/mountinfo", dev, use, mount_look);
	if (ret == 0)
		ret = table_look("swaps", dev, use, swap_look);
	return ret;
}

/* A directory in a disk's that is a partition: it has a number of its own. */
static int partition_look(int disk, const char *name, const struct use *use)
{
	_cleanup_(closep) int dir =
		TEMP_FAILURE_RETRY(openat(disk, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	_cleanup_(freep) char *text = NULL;
	unsigned first, second;
	int ret;

	if (dir < 0 || faccessat(dir, "partition", F_OK, 0) < 0 ||
		file_read_at(dir, "dev", 0, 64, &text, NULL) < 0 ||
		sscanf(text, "%u:%u", &first, &second) != 2)
		return 0;
	ret = device_look(dir, makedev(first, second), use);
	if (ret == 1) {
		_cleanup_(freep) char *what = strdup(use->by);

		if (what)
			snprintf(use->by, use->size, "%s is %s", name, what);
	}
	return ret;
}

static int partitions_look(int disk, const struct use *use)
{
	_cleanup_(closedirp) DIR *entries = file_list_at(disk, ".");
	const struct dirent *entry;
	int ret = 0;

	if (!entries)
		return -errno;
	while (ret == 0 && (entry = readdir(entries))) {
		if (entry->d_name[0] != '.')
			ret = partition_look(disk, entry->d_name, use);
	}
	return ret;
}

int block_device_in_use(const struct block_sources *sources, const struct block_device *device,
	char *by, size_t size, struct error *err)
{
	const struct use use = { .sources = sources, .by = by, .size = size };
	_cleanup_(closep) int dir = -1;
	char path[512];
	int ret;

	snprintf(path, sizeof(path), "%s/dev/block/%u:%u", sources->sys, major(device->dev),
		minor(device->dev));
	dir = TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	ret = dir < 0 ? -errno : device_look(dir, device->dev, &use);
	if (ret == 0 && !device->disk_name[0])
		ret = partitions_look(dir, &use);
	if (ret < 0)
		return error_set(
			err, ret, "what uses %s is not known: %s", device->name, strerror(-ret));
	return ret;
}
