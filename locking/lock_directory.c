/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/lock_directory.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "locking/lock_conflict.h"

static int directory_refuse(
	const struct lock_file *file, const char *path, const char *why, struct error *err)
{
	char name[PATH_SHORT_SIZE];

	error_set(err, -EPERM, "%s: %s %s", file->what, path_short(path, name), why);
	return error_status(err, -EPERM, EX_NOPERM);
}

/* Whoever could take files away from it, or put others there, could undo any lock. */
static int directory_check(
	const struct lock_file *file, const char *path, const struct stat *info, struct error *err)
{
	bool sticky = info->st_mode & S_ISVTX;

	if ((info->st_mode & S_IWOTH) && !sticky)
		return directory_refuse(file, path,
			"can be written by anybody, who could replace files: chmod o-w it", err);
	if (file->host_wide && (info->st_mode & S_IWGRP) && !sticky)
		return directory_refuse(file, path,
			"can be written by a group, which could replace files: chmod +t it", err);
	if (file->host_wide && info->st_uid != 0 && info->st_uid != geteuid())
		return directory_refuse(file, path,
			"belongs to another user, who could replace files: chown root it", err);
	return 0;
}

/* All users find files there; who could make one before its device's users do would keep them out.
 */
static void directory_make(const char *path)
{
	if (mkdir(path, 0755) == 0)
		(void)!chmod(path, 0755); /* whatever the umask */
}

static int directory_failed(
	const struct lock_file *file, const char *path, int code, struct error *err)
{
	char name[PATH_SHORT_SIZE];
	const char *hint = "";

	if (code == ENOENT)
		hint = file->host_wide ? " (root makes it: vmlatch's tmpfiles.d file, or a start)"
				       : " (make it first, for all hosts)";
	error_set(err, -code, "%s: directory %s: %s%s", file->what, path_short(path, name),
		strerror(code), hint);
	return error_status(err, -code, code == EACCES ? EX_NOPERM : EX_UNAVAILABLE);
}

int lock_directory_open(
	const struct lock_file *file, bool make, struct stat *info, struct error *err)
{
	_cleanup_(freep) char *path = strdup(file->path);
	_cleanup_(closep) int fd = -1;
	/* a host-wide one is found by a fixed name, which a link of anybody's could turn elsewhere
	 */
	int follow = file->host_wide ? O_NOFOLLOW : 0, ret;

	if (!path)
		return error_set(err, -ENOMEM, "no memory for %s", file->what);
	*strrchr(path, '/') = '\0';
	if (file->host_wide && make)
		directory_make(path);
	fd = TEMP_FAILURE_RETRY(
		open(*path ? path : "/", O_PATH | O_DIRECTORY | O_CLOEXEC | follow));
	if (fd < 0 || fstat(fd, info) < 0)
		return directory_failed(file, path, errno, err);
	ret = directory_check(file, path, info, err);
	return ret < 0 ? ret : take_fd(&fd);
}
