/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>

#include "locking/lock_file.h"

/*
 * The directory of a lock file, if nobody could undo its locks there by replacing
 * files. @make: a host-wide one is made if it is missing and we may.
 *
 * Returns an O_PATH descriptor and what it is, or -errno with a sentence and its
 * exit status.
 */
int lock_directory_open(
	const struct lock_file *file, bool make, struct stat *info, struct error *err);
