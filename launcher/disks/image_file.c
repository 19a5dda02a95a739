/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/image_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"

/* A file as far as it is known. */
struct header_file {
	int fd;
	const struct stat *st;
};

/* Understand the first @size bytes; @bytes has room for them. */
static int header_parse(const struct header_file *file, uint8_t *bytes, size_t size,
	struct image *ret, struct error *err)
{
	ssize_t n = TEMP_FAILURE_RETRY(pread(file->fd, bytes, size, 0));
	uint64_t file_size = n;

	if (n < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	/* a short read is the end, whatever stat() says (of a device it says nothing) */
	if ((size_t)n == size && !S_ISREG(file->st->st_mode))
		file_size = UINT64_MAX;
	else if ((size_t)n == size && (uint64_t)file->st->st_size > file_size)
		file_size = file->st->st_size;
	return image_parse(bytes, n, file_size, ret, err);
}

int image_file_open(const char *path, struct stat *st, struct error *err)
{
	_cleanup_(closep) int fd =
		TEMP_FAILURE_RETRY(open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC));
	struct stat now;

	if (fd < 0 || fstat(fd, &now) < 0)
		return error_set(err, -errno, "%s", strerror(errno));
	if (now.st_dev != st->st_dev || now.st_ino != st->st_ino)
		return error_set(err, -EINVAL, "replaced while it was looked at");
	*st = now;
	return take_fd(&fd);
}

int image_file_read(int fd, const struct stat *st, struct image *ret, struct error *err)
{
	/* the first is enough for nearly all, and a page costs twice as much */
	static const size_t sizes[] = { 1024, IMAGE_HEADER_SIZE };
	const struct header_file file = { .fd = fd, .st = st };
	_cleanup_(freep) uint8_t *more = NULL;
	uint8_t bytes[IMAGE_HEADER_SIZE];
	int code = IMAGE_NEEDS_MORE;
	size_t i;

	for (i = 0; i < sizeof(sizes) / sizeof(*sizes) && code == IMAGE_NEEDS_MORE; i++)
		code = header_parse(&file, bytes, sizes[i], ret, err);
	if (code != IMAGE_NEEDS_MORE)
		return code;
	more = malloc(ret->needed);
	if (!more)
		return -ENOMEM;
	code = header_parse(&file, more, ret->needed, ret, err);
	return code == IMAGE_NEEDS_MORE ? error_set(err, -EINVAL, "written to while it was read")
					: code;
}
