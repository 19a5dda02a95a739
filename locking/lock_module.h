/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/str.h"
#include "locking/lock_driver.h"

/*
 * Lock drivers that are loaded: NAME.so in one directory. Both must be root's or
 * ours, and nobody else's to write. lock_driver.h says what must be in it.
 */

/*
 * Load a driver: it stays until the process ends, and is there already the next
 * time. Before the fork and before there is a thread.
 *
 * Returns 0, -ENOENT (no such file; without a sentence), or -errno with a
 * sentence and status 69.
 */
int lock_module_load(const char *name, const struct lock_driver **ret, struct error *err);

/* "in DIR: flock, other", or "none in DIR", or why nobody knows. */
void lock_module_list(struct str *out);
