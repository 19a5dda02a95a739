/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/holder_process.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/file.h"
#include "base/str.h"
#include "locking/fdinfo.h"
#include "locking/file_lock.h"

#define SCAN_MS 500 /* for a refusal's sentence more is not worth it */

void holder_from_pid(pid_t pid, struct lock_holder *ret)
{
	_cleanup_(freep) char *name = NULL;
	char path[64];

	*ret = (struct lock_holder){ .source = LOCK_HOLDER_KERNEL, .pid = pid };
	snprintf(path, sizeof(path), "/proc/%d/comm", pid);
	if (file_read_at(AT_FDCWD, path, 0, 256, &name, NULL) < 0)
		return;
	name[strcspn(name, "\n")] = '\0';
	str_printable(name, ret->process, sizeof(ret->process));
}

/*
 * Device numbers in fdinfo are not always stat's (btrfs, overlay), so ask stat; but
 * not the server or the program that keeps the file, which may never answer: which
 * file it is, is known here.
 */
static bool is_the_file(int fdinfo, const char *fd_name, const struct resource_identity *id)
{
	struct resource_identity there;
	char path[300];
	struct statx info;

	snprintf(path, sizeof(path), "../fd/%s", fd_name);
	if (statx(fdinfo, path, AT_STATX_DONT_SYNC, STATX_TYPE | STATX_INO, &info) < 0)
		return false;
	there = resource_identity_of(&(struct stat){
		.st_mode = info.stx_mode,
		.st_ino = info.stx_ino,
		.st_dev = makedev(info.stx_dev_major, info.stx_dev_minor),
		.st_rdev = makedev(info.stx_rdev_major, info.stx_rdev_minor),
	});
	return resource_identity_equal(id, &there);
}

/* The locks first, although a stat is cheaper: few files have any. */
static bool process_holds(
	int proc, const char *pid, const struct resource_identity *id, enum resource_mode mode)
{
	_cleanup_(closedirp) DIR *dir = NULL;
	char text[FDINFO_MAX], path[300];
	struct dirent *entry;

	snprintf(path, sizeof(path), "%s/fdinfo", pid);
	dir = file_list_at(proc, path);
	while (dir && (entry = readdir(dir))) {
		if (entry->d_name[0] == '.' || fdinfo_read(dirfd(dir), entry->d_name, text) < 0)
			continue;
		if (file_lock_is_in_the_way(text, file_use_of(mode)) &&
			is_the_file(dirfd(dir), entry->d_name, id))
			return true;
	}
	return false;
}

bool holder_scan(
	const struct resource_identity *id, enum resource_mode mode, struct lock_holder *ret)
{
	int64_t deadline = clock_monotonic_ms() + SCAN_MS;
	_cleanup_(closedirp) DIR *dir = file_list_at(AT_FDCWD, "/proc");
	struct dirent *entry;
	pid_t found = 0;

	while (dir && !found && clock_monotonic_ms() < deadline && (entry = readdir(dir))) {
		if (entry->d_name[0] < '0' || entry->d_name[0] > '9')
			continue;
		if (process_holds(dirfd(dir), entry->d_name, id, mode))
			found = atoi(entry->d_name);
	}
	if (found)
		holder_from_pid(found, ret);
	return found;
}
