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

static bool is_forbidden(int code)
{
	return code == EACCES || code == EPERM || code == EROFS;
}

static int failed(const struct lock_file *file, const char *verb, int code, struct error *err)
{
	int status = is_forbidden(code) ? EX_NOPERM : EX_UNAVAILABLE;
	char path[PATH_SHORT_SIZE];

	error_set(err, -code, "%s: %s lock file %s: %s", file->what, verb,
		path_short(file->path, path), strerror(code));
	return error_status(err, -code, status);
}

/* Only root's have another's rights: a device's that had others before, or a partition's disk's. */
static int cannot_open(const struct lock_file *file, int code, struct error *err)
{
	char path[PATH_SHORT_SIZE];

	if (!file->host_wide || !is_forbidden(code))
		return failed(file, "open", code, err);
	error_set(err, -code,
		"%s: open lock file %s: %s (a start of vmlatch by root gives it the rights of its "
		"device; of a partition both its own and its disk's are needed)",
		file->what, path_short(file->path, path), strerror(code));
	return error_status(err, -code, EX_NOPERM);
}

/* What root can do about it, once and for every boot. */
static int cannot_make(const struct lock_file *file, int code, struct error *err)
{
	const struct lock_file_access *access = &file->access;
	char path[PATH_SHORT_SIZE];

	if (!file->host_wide || !is_forbidden(code))
		return failed(file, "make", code, err);
	path_short(file->path, path);
	error_set(err, -code,
		"%s: lock file %s is missing, and this user may not make it (%s): root can, by a "
		"start of vmlatch, or by this line in /etc/tmpfiles.d: f %s %04o %u %u",
		file->what, path, strerror(code), path, access->mode, access->owner, access->group);
	return error_status(err, -code, EX_NOPERM);
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
	struct lock_file_access access = lock_file_access_in(&file->access, directory);
	char why[96];

	if (lock_file_access_trusts(&access, info, directory))
		return 0;
	snprintf(why, sizeof(why), "belongs to another user (uid %u): remove it", info->st_uid);
	return refuse(file, -EPERM, why, err);
}

/*
 * Root takes over what others have made, by its inode: who holds it, holds it still, but
 * nobody can take it away any more. So no squatter keeps the device's users out for long.
 */
static bool can_mend(const struct lock_file *file)
{
	return file->host_wide && geteuid() == 0;
}

/* What lies there, before it is opened. */
static int found(const struct lock_file *file, const struct stat *info, const struct stat *parent,
	struct error *err)
{
	int ret = type_check(file, info, err);

	return ret < 0 || can_mend(file) ? ret : owner_check(file, info, parent, err);
}

/* One try at it, in its open directory. */
struct attempt {
	const struct lock_file *file;
	int directory;
	struct stat parent; /* the directory */
	struct stat info;   /* what was opened */
};

#define OPEN_FLAGS (O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC)

static void access_set(const struct attempt *attempt, int fd)
{
	struct lock_file_access access =
		lock_file_access_in(&attempt->file->access, &attempt->parent);
	struct stat info;

	if (fstat(fd, &info) == 0)
		lock_file_access_set(&access, fd, &info);
}

/* It has its rights before it has its name: nobody meets one that he may not open. 0 or -errno. */
static int make_whole(const struct attempt *attempt, const char *name)
{
	_cleanup_(closep) int fd = TEMP_FAILURE_RETRY(
		openat(attempt->directory, ".", O_TMPFILE | O_RDWR | O_CLOEXEC, 0600));
	char link[64];

	if (fd < 0)
		return -errno;
	access_set(attempt, fd);
	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	if (linkat(AT_FDCWD, link, attempt->directory, name, AT_SYMLINK_FOLLOW) < 0)
		return -errno;
	return 0;
}

/* Where there are no files without a name (NFS). 0 or -errno. */
static int make_step_by_step(const struct attempt *attempt, const char *name)
{
	/* without O_EXCL fs.protected_regular would refuse others' files in /tmp */
	_cleanup_(closep) int fd = TEMP_FAILURE_RETRY(
		openat(attempt->directory, name, O_RDWR | O_CREAT | O_EXCL | OPEN_FLAGS, 0600));

	if (fd < 0)
		return -errno;
	access_set(attempt, fd);
	return 0;
}

/* The descriptor, or -errno (-ENOENT, -EEXIST: look again), with a sentence if it cannot be made.
 */
static int open_or_make(
	const struct attempt *attempt, const char *name, bool write, struct error *err)
{
	int fd = TEMP_FAILURE_RETRY(
		openat(attempt->directory, name, (write ? O_RDWR : O_RDONLY) | OPEN_FLAGS));
	int ret;

	if (fd >= 0 || errno != ENOENT)
		return fd < 0 ? -errno : fd;
	ret = make_whole(attempt, name);
	if (ret < 0 && ret != -EEXIST)
		ret = make_step_by_step(attempt, name);
	if (ret < 0 && ret != -EEXIST && ret != -ENOENT)
		return cannot_make(attempt->file, -ret, err);
	return -ENOENT; /* open it like any other */
}

/* Is what was opened from the right hands, or now in them? */
static int attempt_judge(struct attempt *attempt, int fd, struct error *err)
{
	struct stat *info = &attempt->info;
	int ret;

	if (fstat(fd, info) < 0)
		return -errno;
	ret = type_check(attempt->file, info, err);
	if (ret == 0 && can_mend(attempt->file)) {
		access_set(attempt, fd);
		ret = fstat(fd, info) < 0 ? -errno : 0;
	}
	return ret < 0 ? ret : owner_check(attempt->file, info, &attempt->parent, err);
}

static int attempt_open(struct attempt *attempt, bool write, struct error *err)
{
	const char *name = strrchr(attempt->file->path, '/') + 1;
	struct stat *info = &attempt->info;
	_cleanup_(closep) int fd = -1;
	int ret = 0;

	if (fstatat(attempt->directory, name, info, AT_SYMLINK_NOFOLLOW) == 0)
		ret = found(attempt->file, info, &attempt->parent, err);
	if (ret == 0)
		ret = fd = open_or_make(attempt, name, write, err);
	if (fd < 0)
		return ret;
	ret = attempt_judge(attempt, fd, err);
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
		return cannot_open(file, -fd, err);
	if (fd < 0) {
		if (err)
			*err = refusal;
		return fd;
	}
	*ret = resource_identity_of(&attempt.info);
	return fd;
}

static int missing(const struct lock_file *file, int directory, bool to_lock, struct error *err)
{
	if (to_lock && faccessat(directory, ".", W_OK | X_OK, AT_EACCESS) < 0)
		return cannot_make(file, errno, err);
	return LOCK_FILE_MISSING;
}

int lock_file_open_to_look(const struct lock_file *file, bool to_lock, struct error *err)
{
	const char *name = strrchr(file->path, '/') + 1;
	struct stat parent = { 0 }, info;
	_cleanup_(closep) int directory = lock_directory_open(file, false, &parent, err);
	int ret, fd;

	if (directory == -ENOENT && file->host_wide && (!to_lock || can_mend(file)))
		return LOCK_FILE_MISSING;
	if (directory < 0)
		return directory;
	if (fstatat(directory, name, &info, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? missing(file, directory, to_lock, err)
				       : failed(file, "look at", errno, err);
	ret = found(file, &info, &parent, err);
	if (ret < 0)
		return ret;
	fd = TEMP_FAILURE_RETRY(
		openat(directory, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
	return fd < 0 ? cannot_open(file, errno, err) : fd;
}
