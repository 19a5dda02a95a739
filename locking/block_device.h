/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * What sysfs says about a block device. A device has many nodes (mknod, links
 * in /dev/disk/, other mounts of devtmpfs), and a lock on one of them says
 * nothing about the next; so it is known by what it is, not by its node.
 */

#define BLOCK_NAME_SIZE 64
#define BLOCK_KEY_SIZE  160

/*
 * Which unit of storage: the same for every path to it, on this host and, where
 * the hardware or LVM gives a name, on others. Fit to be a file's name.
 *
 *	wwid-naa.5000c500a1b2c3d4	SCSI, ATA, NVMe
 *	dm-LVM-...			device mapper: LVM, multipath, crypt
 *	dev-8:16			nothing better: this host and boot only
 *
 * A partition has its disk's key and "-partN" behind it.
 */
struct block_device {
	dev_t dev;
	char name[BLOCK_NAME_SIZE]; /* the kernel's: sda1 */
	char key[BLOCK_KEY_SIZE];
	char disk_name[BLOCK_NAME_SIZE]; /* of a partition: sda; else "" */
	char disk_key[BLOCK_KEY_SIZE];   /* likewise */
	bool key_is_stable;              /* means the same on other hosts */
	char backing[PATH_MAX];          /* the file that a loop device is made of; else "" */
};

/* Where the kernel tells: "/sys" and "/proc", or what a test has made. */
struct block_sources {
	const char *sys;
	const char *proc;
};
extern const struct block_sources block_sources;

/* 0; -ENOENT: the kernel knows no such device; or -errno; with a sentence. */
int block_device_find(const struct block_sources *sources, dev_t dev, struct block_device *ret,
	struct error *err);

/*
 * The devices that this one (mapped, RAID; or its disk is) is made of: LVM, crypt,
 * multipath. A loop device's is its backing file.
 *
 * Returns how many, up to @max; or -errno with a sentence.
 */
int block_device_parts(const struct block_sources *sources, const struct block_device *device,
	dev_t *ret, size_t max, struct error *err);

/*
 * Is the device, or a partition of it, part of something that this host uses: a
 * mounted file system, swap space, LVM, RAID, another mapped device? A guest's
 * write would destroy that.
 *
 * @by	what uses it, for people: "mounted on /srv"
 *
 * Returns 1 with @by, 0 or -errno with a sentence.
 */
int block_device_in_use(const struct block_sources *sources, const struct block_device *device,
	char *by, size_t size, struct error *err);
