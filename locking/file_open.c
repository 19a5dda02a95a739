/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_open.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "locking/lock_conflict.h"

static const struct {
	mode_t type;
	int code;
	const char *sentence;
} refused[] = {
	{ S_IFDIR, -EISDIR, "is a directory, not a disk image" },
	{ S_IFIFO, -EINVAL, "is a FIFO, not a disk image" },
	{ S_IFSOCK, -EINVAL, "is a socket, not a disk image" },
	{ S_IFCHR, -EINVAL, "is a character device, not a disk image" },
};

static const struct {
	int code;
	int status;
} statuses[] = {
	{ ENOENT, 66 },
	{ ENOTDIR, 66 },
	{ ENXIO, 66 },
	{ ENODEV, 66 },
	{ ELOOP, 66 },
	{ ENAMETOOLONG, 66 },
	{ EACCES, 77 },
	{ EPERM, 77 },
	{ EROFS, 77 },
	{ ETXTBSY, 65 },
};

static int type_check(const char *path, mode_t mode, struct error *err)
{
	char name[PATH_SHORT_SIZE];
	size_t i;

	for (i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if ((mode & S_IFMT) == refused[i].type)
			return error_status(err,
				error_set(err, refused[i].code, "%s %s", path_short(path, name),
					refused[i].sentence),
				65);
	}
	return 0;
}

static int open_failed(const char *path, bool write, int code, struct error *err)
{
	const char *what = write ? "open %s for writing: %s" : "open %s: %s";
	char name[PATH_SHORT_SIZE];
	int status = 71;
	size_t i;

	for (i = 0; i < sizeof(statuses) / sizeof(statuses[0]); i++) {
		if (code == statuses[i].code)
			status = statuses[i].status;
	}
	error_set(err, -code, what, path_short(path, name), strerror(code));
	return error_status(err, -code, status);
}

static int open_check(
	const char *path, bool write, int fd, struct resource_identity *ret, struct error *err)
{
	struct stat info;
	int code;

	if (fd < 0 || fstat(fd, &info) < 0)
		return open_failed(path, write, errno, err);
	code = type_check(path, info.st_mode, err);
	if (code == 0)
		*ret = resource_identity_of(&info);
	return code;
}

int file_open_check(const char *path, int fd, struct resource_identity *ret, struct error *err)
{
	return open_check(path, false, fd, ret, err);
}

int file_open_again(const char *path, bool write, struct resource_identity *ret, struct error *err)
{
	int flags = write ? O_RDWR : O_RDONLY, code;
	_cleanup_(closep) int fd =
		TEMP_FAILURE_RETRY(open(path, flags | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));

	code = open_check(path, write, fd, ret, err);
	return code < 0 ? code : take_fd(&fd);
}

int file_open(const char *path, bool write, struct resource_identity *ret, struct error *err)
{
	struct stat info;
	int code;

	if (stat(path, &info) < 0)
		return open_failed(path, write, errno, err);
	code = type_check(path, info.st_mode, err);
	return code < 0 ? code : file_open_again(path, write, ret, err);
}
