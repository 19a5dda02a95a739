/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/stamp.h"

#include <errno.h>
#include <sys/stat.h>

int stamp_take(int fd, struct stamp *ret)
{
	struct stat info;

	if (fstat(fd, &info) < 0)
		return -errno;
	*ret = (struct stamp){
		.ino = info.st_ino,
		.size = info.st_size,
		.mtime_s = info.st_mtim.tv_sec,
		.mtime_ns = info.st_mtim.tv_nsec,
	};
	return 0;
}

bool stamp_is_kept(const struct stamp *saved, const struct stamp *now)
{
	return saved->ino == now->ino && saved->mtime_s == now->mtime_s &&
	       saved->mtime_ns == now->mtime_ns && now->size >= saved->size;
}
