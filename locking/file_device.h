/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/file_image.h"

/*
 * What is special about an image that is a block device (file_spaces.h has its
 * lock files).
 */

static inline bool file_image_is_device(const struct file_image *image)
{
	return image->resource.kind == RESOURCE_DISK &&
	       image->resource.id.ino == RESOURCE_INO_DEVICE;
}

/*
 * Use the kernel's own node for it instead of the one that was named, where it
 * can be opened: a lock on a node is on that node only, and this one is what the
 * next one will find, too. It is open; so it is afterwards.
 */
void file_device_make_canonical(struct file_image *image);

/*
 * A device of which this host makes use itself (a mounted file system, swap, LVM,
 * RAID) is not for a guest to write to.
 *
 * Returns 0 or -EBUSY with a sentence and status 65, or another -errno.
 */
int file_device_check_unused(const struct file_image *image, struct error *err);

/*
 * The same for certain, by the kernel's own claim, which mounts and mappers of
 * every namespace have: for one that is locked, since two who try would meet.
 */
int file_device_check_claim(const struct file_image *image, struct error *err);
