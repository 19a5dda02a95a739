/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>

#include "launcher/disks/image.h"

/*
 * Open a regular file or block device to read its header.
 *
 * @st	what the path was seen to name: nothing else is opened; brought up to date
 *
 * Returns the descriptor, or -errno with a sentence (-EINVAL: changed under our
 * hands).
 */
int image_file_open(const char *path, struct stat *st, struct error *err);

/* Read and understand it. 0, or -errno with a sentence (-EINVAL: damaged). */
int image_file_read(int fd, const struct stat *st, struct image *ret, struct error *err);
