/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/stamp.h"

#include <errno.h>
#include <sys/stat.h>
#include <time.h>

#include "base/clock.h"

/* No kernel's tick is longer; where only seconds are kept, FAT keeps every other one. */
#define TICK_NS  INT64_C(10000000)
#define COARSE_S 2
#define STEP_MS  1

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

/* Nanoseconds since the file was written; what lies in the future was long ago. */
static int64_t age_ns(const struct stat *info)
{
	struct timespec now;
	int64_t seconds;

	clock_gettime(CLOCK_REALTIME_COARSE, &now); /* the clock that writes are stamped with */
	seconds = now.tv_sec - info->st_mtim.tv_sec;
	if (seconds < 0 || seconds > COARSE_S)
		return INT64_MAX;
	return seconds * 1000000000 + now.tv_nsec - info->st_mtim.tv_nsec;
}

void stamp_wait_for_tick(int fd)
{
	int64_t enough_ns, age;
	struct stat info;

	if (fstat(fd, &info) < 0)
		return;
	enough_ns = info.st_mtim.tv_nsec ? TICK_NS : COARSE_S * INT64_C(1000000000);
	for (age = age_ns(&info); age < enough_ns && age >= -TICK_NS; age = age_ns(&info))
		clock_sleep_ms(STEP_MS);
}
