/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* Understand the first @size bytes; @bytes has room for them. */
static int header_parse(int fd, uint8_t *bytes, size_t size, struct image *ret, struct error *err)
{
	struct stat st;
	uint64_t file_size;
	ssize_t n;

	n = pread(fd, bytes, size, 0);
	if (n < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	file_size = n;
	/* a short read is the end, whatever stat() says (of a device it says nothing) */
	if ((size_t)n == size && fstat(fd, &st) == 0)
		file_size = S_ISREG(st.st_mode) ? (uint64_t)st.st_size : UINT64_MAX;
	return image_parse(bytes, n, file_size, ret, err);
}

/* Open what @st was seen of, and nothing else. Returns the descriptor or -errno. */
static int image_file_open(const char *path, const struct stat *st, struct error *err)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	struct stat now;

	if (fd < 0 || fstat(fd, &now) < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	if (now.st_dev != st->st_dev || now.st_ino != st->st_ino)
		return error_set(err, -EINVAL, "replaced while it was looked at");
	return take_fd(&fd);
}

int image_file_read(const char *path, const struct stat *st, struct image *ret, struct error *err)
{
	_cleanup_(closep) int fd = image_file_open(path, st, err);
	_cleanup_(freep) uint8_t *more = NULL;
	uint8_t bytes[IMAGE_HEADER_SIZE];
	int code;

	if (fd < 0)
		return fd;
	code = header_parse(fd, bytes, sizeof(bytes), ret, err);
	if (code != IMAGE_NEEDS_MORE)
		return code;
	more = malloc(ret->needed);
	if (!more)
		return -ENOMEM;
	code = header_parse(fd, more, ret->needed, ret, err);
	return code == IMAGE_NEEDS_MORE ? error_set(err, -EINVAL, "written to while it was read")
					: code;
}
