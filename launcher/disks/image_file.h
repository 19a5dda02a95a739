/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>

#include "launcher/disks/image.h"

/*
 * Read the header of a regular file or block device.
 *
 * @st	what the path was seen to name: nothing else is read
 *
 * Returns 0, or -errno with a sentence (-EINVAL: damaged, or changed under our
 * hands).
 */
int image_file_read(const char *path, const struct stat *st, struct image *ret, struct error *err);
