/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/stat.h>
#include <sys/types.h>

/*
 * Who may lock a lock file: those who may use what it stands for. Whoever owns one
 * can also take it away again, so it is believed only if the right user made it.
 */
struct lock_file_access {
	mode_t mode;
	uid_t owner; /* -1: who makes it */
	gid_t group; /* -1: of its directory, where that is a group's */
};

/* What it is for lock files in this directory, all said. */
struct lock_file_access lock_file_access_in(
	const struct lock_file_access *wanted, const struct stat *directory);

/*
 * Is it root's, ours, the directory's or the right owner's; or has somebody made it
 * who belongs to the group that may write there?
 */
bool lock_file_access_trusts(const struct lock_file_access *access, const struct stat *info,
	const struct stat *directory);

/*
 * Give it these rights, whatever the umask was: as far as we may, and only where it
 * differs. Where it cannot have the group, no group has any.
 */
void lock_file_access_set(const struct lock_file_access *access, int fd, const struct stat *info);
