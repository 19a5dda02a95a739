/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/doctor/finding.h"

/*
 * Look at what lies in a directory under names of lock files, and at the leases in
 * its sub-directories. Nothing is followed, locked, written or waited for, and it
 * ends after so many names, or so many milliseconds.
 */
struct lock_scan {
	size_t n;    /* lock files and leases */
	size_t held; /* of these */
	size_t stale;
	bool cut; /* there is more that was not looked at */
};

/* @dir	open for reading. 0 or -errno: it may not be read */
int lock_scan_run(int dir, struct findings *findings, struct lock_scan *ret);
