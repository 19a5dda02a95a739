/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"

#define READ_STEP 4096

/* Not by opening it: a FIFO's writer would have met us, and write to nobody. */
static bool is_other_than_a_file(int at, const char *name, int flags)
{
	struct stat info;

	return fstatat(at, name, &info, flags & O_NOFOLLOW ? AT_SYMLINK_NOFOLLOW : 0) == 0 &&
	       !S_ISREG(info.st_mode) && !S_ISDIR(info.st_mode) && !S_ISLNK(info.st_mode);
}

int file_read_at(int at, const char *name, int flags, size_t max, char **ret, size_t *ret_len)
{
	_cleanup_(str_finish) struct str text = { 0 };
	_cleanup_(closep) int fd = -1;
	char step[READ_STEP];
	struct stat info;
	size_t len;

	if (is_other_than_a_file(at, name, flags))
		return -EINVAL;
	fd = TEMP_FAILURE_RETRY(
		openat(at, name, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK | flags));
	if (fd < 0 || fstat(fd, &info) < 0)
		return -errno;
	if (!S_ISREG(info.st_mode))
		return S_ISDIR(info.st_mode) ? -EISDIR : -EINVAL;
	for (;;) {
		ssize_t n = fd_read_all(fd, step, sizeof(step));

		if (n < 0)
			return n;
		str_append_bytes(&text, step, n);
		if (text.len > max)
			return -EFBIG;
		if ((size_t)n < sizeof(step)) /* the end */
			break;
	}
	len = text.len;
	*ret = str_take(&text);
	if (!*ret)
		return -ENOMEM;
	if (ret_len)
		*ret_len = len;
	return 0;
}

int file_replace_at(int at, const char *name, const char *text, size_t len, mode_t mode)
{
	_cleanup_(closep) int fd = -1;
	char temporary[NAME_MAX + 1];
	int ret;

	if ((size_t)snprintf(temporary, sizeof(temporary), ".%s.%d", name, getpid()) >=
		sizeof(temporary))
		return -ENAMETOOLONG;
	if (unlinkat(at, temporary, 0) < 0 && errno != ENOENT)
		return -errno;
	fd = TEMP_FAILURE_RETRY(
		openat(at, temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, mode));
	if (fd < 0)
		return -errno;
	ret = fd_write_all(fd, text, len);
	if (ret == 0 && renameat(at, temporary, at, name) < 0)
		ret = -errno;
	if (ret < 0)
		unlinkat(at, temporary, 0);
	return ret;
}

int file_open_dir(int at, const char *name, mode_t mode, struct error *err)
{
	if (mkdirat(at, name, mode) < 0 && errno != EEXIST)
		return error_set(err, -errno, "make directory %s: %s", name, strerror(errno));
	return file_look_dir(at, name, err);
}

int file_look_dir(int at, const char *name, struct error *err)
{
	_cleanup_(closep) int fd = -1;
	struct stat info;

	fd = TEMP_FAILURE_RETRY(openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
	if (fd < 0 || fstat(fd, &info) < 0)
		return error_set(err, -errno, "open directory %s: %s", name, strerror(errno));
	if (info.st_uid != geteuid())
		return error_set(err, -EPERM, "directory %s belongs to user %u, not to us", name,
			info.st_uid);
	if (info.st_mode & 022)
		return error_set(
			err, -EPERM, "directory %s can be written by others: chmod go-w it", name);
	return take_fd(&fd);
}

int file_make_parents(const char *path, mode_t mode)
{
	_cleanup_(freep) char *copy = strdup(path);
	char *slash;

	if (!copy)
		return -ENOMEM;
	for (slash = strchr(copy + 1, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		if (mkdir(copy, mode) < 0 && errno != EEXIST)
			return -errno;
		*slash = '/';
	}
	return 0;
}

DIR *file_list_at(int at, const char *name)
{
	int fd = TEMP_FAILURE_RETRY(openat(at, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC)), code;
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (fd < 0 || dir)
		return dir;
	code = errno;
	close(fd);
	errno = code;
	return NULL;
}
