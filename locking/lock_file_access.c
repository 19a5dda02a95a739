/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/lock_file_access.h"

#include <unistd.h>

#define ACCESS_BITS 07777

struct lock_file_access lock_file_access_in(
	const struct lock_file_access *wanted, const struct stat *directory)
{
	struct lock_file_access access = *wanted;
	mode_t others = directory->st_mode & (S_IWGRP | S_IWOTH);

	if (access.group == (gid_t)-1 && others == S_IWGRP) {
		access.group = directory->st_gid;
		access.mode |= S_IRGRP | S_IWGRP;
	}
	return access;
}

bool lock_file_access_trusts(const struct lock_file_access *access, const struct stat *info,
	const struct stat *directory)
{
	/* there files have this group whoever makes them */
	bool anybody = (directory->st_mode & S_ISGID) && (directory->st_mode & S_IWOTH);

	if (info->st_uid == 0 || info->st_uid == geteuid() || info->st_uid == directory->st_uid)
		return true;
	if (access->owner != (uid_t)-1 && info->st_uid == access->owner)
		return true;
	/* only who belongs to it can have given it that group */
	return access->group != (gid_t)-1 && info->st_gid == access->group && !anybody &&
	       (access->mode & S_IWGRP);
}

void lock_file_access_set(const struct lock_file_access *access, int fd, const struct stat *info)
{
	mode_t mode = access->mode;
	bool moved = false;

	if (access->owner != (uid_t)-1 && access->owner != info->st_uid)
		moved |= fchown(fd, access->owner, -1) == 0;
	if (access->group != (gid_t)-1 && access->group != info->st_gid) {
		if (fchown(fd, -1, access->group) == 0)
			moved = true;
		else /* the rights are not meant for the group that it has */
			mode &= ~S_IRWXG;
	}
	if (moved || (info->st_mode & ACCESS_BITS) != mode)
		(void)!fchmod(fd, mode);
}
