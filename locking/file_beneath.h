/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/file_spaces.h"

/*
 * The lock files of a block device, and of all that is beneath it: a loop device
 * is made of a file or of another device, a mapped one of several. Who uses one
 * of those itself meets us there, but for what we may not open, or what has no
 * name any more: the same right is needed to use it.
 *
 * 0 or -errno.
 */
int file_spaces_add_device(
	const struct file_spaces *spaces, struct file_image *image, struct error *err);
