/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/lock_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "locking/lock_conflict.h"
#include "locking/lock_directory.h"

#define ATTEMPTS 5 /* at a file that comes and goes */

static int refuse(const struct lock_file *file, int code, const char *why, struct error *err)
{
	char path[PATH_SHORT_SIZE];

	error_set(err, code, "%s: lock file %s %s", file->what, path_short(file->path, path), why);
	return error_status(err, code, EX_DATAERR);
}

static int failed(const struct lock_file *file, const char *verb, int code, struct error *err)
{
	char path[PATH_SHORT_SIZE];
	int status = EX_UNAVAILABLE;

	if (code == EACCES || code == EPERM || code == EROFS)
		status = EX_NOPERM;
	error_set(err, -code, "%s: %s lock file %s: %s", file->what, verb,
		path_short(file->path, path), strerror(code));
	return error_status(err, -code, status);
}

/* What is not there yet is fine; anything but a plain file is not even opened. */
static int type_check(const struct lock_file *file, const struct stat *info, struct error *err)
{
	if (S_ISLNK(info->st_mode))
		return refuse(file, -ELOOP, "is a symbolic link: remove it", err);
	if (!S_ISREG(info->st_mode))
		return refuse(file, -EINVAL, "is no regular file: remove it", err);
	if (info->st_nlink > 1)
		return refuse(file, -EMLINK, "has other names (hard links): remove it", err);
	return 0;
}

static int owner_check(const struct lock_file *file, const struct stat *info,
	const struct stat *directory, struct error *err)
{
	char why[96];

	if (info->st_uid == 0 || info->st_uid == geteuid() || info->st_uid == directory->st_uid)
		return 0;
	if (file->group != (gid_t)-1 && info->st_gid == file->group)
		return 0; /* only who belongs to it can have given it that group */
	snprintf(why, sizeof(why), "belongs to another user (uid %u): remove it", info->st_uid);
	return refuse(file, -EPERM, why, err);
}

/* The rights that were asked for, whatever the umask; a group where we may give it. */
static void rights_set(const struct lock_file *file, int fd)
{
	if (file->group != (gid_t)-1)
		(void)!fchown(fd, -1, file->group);
	(void)!fchmod(fd, file->mode);
}

/* The descriptor, or -errno (-ENOENT, -EEXIST: look again). */
static int open_or_make(const struct lock_file *file, int directory, const char *name, bool write)
{
	int flags = (write ? O_RDWR : O_RDONLY) | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC;
	int fd = openat(directory, name, flags);

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	/* apart from each other: fs.protected_regular refuses O_CREAT of others' files in /tmp */
	fd = openat(directory, name, flags | O_CREAT | O_EXCL, file->mode);
	if (fd < 0)
		return -errno;
	rights_set(file, fd);
	return fd;
}

/* One try at it, in its open directory. */
struct attempt {
	const struct lock_file *file;
	int directory;
	struct stat parent; /* the directory */
	struct stat info;   /* what was opened */
};

static int attempt_open(struct attempt *attempt, bool write, struct error *err)
{
	const char *name = strrchr(attempt->file->path, '/') + 1;
	struct stat *info = &attempt->info;
	_cleanup_(closep) int fd = -1;
	int ret = 0;

	if (fstatat(attempt->directory, name, info, AT_SYMLINK_NOFOLLOW) == 0)
		ret = type_check(attempt->file, info, err);
	if (ret == 0)
		ret = fd = open_or_make(attempt->file, attempt->directory, name, write);
	if (fd < 0)
		return ret;
	if (fstat(fd, info) < 0)
		return -errno;
	ret = type_check(attempt->file, info, err);
	if (ret == 0)
		ret = owner_check(attempt->file, info, &attempt->parent, err);
	return ret < 0 ? ret : take_fd(&fd);
}

int lock_file_open(
	const struct lock_file *file, bool write, struct resource_identity *ret, struct error *err)
{
	struct attempt attempt = { .file = file };
	_cleanup_(closep) int directory = lock_directory_open(file, true, &attempt.parent, err);
	struct error refusal = { 0 };
	int left = ATTEMPTS, fd;

	if (directory < 0)
		return directory;
	attempt.directory = directory;
	do {
		fd = attempt_open(&attempt, write, &refusal);
	} while ((fd == -ENOENT || fd == -EEXIST) && --left);
	if (fd < 0 && !*refusal.text)
		return failed(file, "open", -fd, err);
	if (fd < 0) {
		if (err)
			*err = refusal;
		return fd;
	}
	*ret = resource_identity_of(&attempt.info);
	return fd;
}

int lock_file_open_to_look(const struct lock_file *file, struct error *err)
{
	const char *name = strrchr(file->path, '/') + 1;
	struct stat parent = { 0 }, info;
	_cleanup_(closep) int directory = lock_directory_open(file, false, &parent, err);
	int ret, fd;

	if (directory < 0)
		return directory == -ENOENT && file->host_wide ? LOCK_FILE_MISSING : directory;
	if (fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? LOCK_FILE_MISSING : failed(file, "look at", errno, err);
	ret = type_check(file, &info, err);
	if (ret == 0)
		ret = owner_check(file, &info, &parent, err);
	if (ret < 0)
		return ret;
	fd = openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return fd < 0 ? failed(file, "open", errno, err) : fd;
}
