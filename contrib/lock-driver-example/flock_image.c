/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flock.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/file.h>
#include <sysexits.h>
#include <unistd.h>

#include <base/cleanup.h>

void image_finish(struct image *image)
{
	if (image->fd >= 0)
		close(image->fd);
	resource_finish(&image->resource);
}

static int file_error(const char *path, int code, struct error *err)
{
	error_set(err, code, "%s: %s", path, strerror(-code));
	return error_status(err, code, code == -EACCES ? EX_NOPERM : EX_NOINPUT);
}

static int refuse(const char *path, const char *what, struct error *err)
{
	return error_status(err, error_set(err, -EINVAL, "%s: %s", path, what), EX_DATAERR);
}

/* What is one file has one lock. */
int image_identify(const struct resource *resource, struct resource *ret, struct error *err)
{
	const char *path = resource->path;
	struct stat info;

	if (resource->kind != RESOURCE_DISK)
		return refuse(path, "the lock driver flock has no leases", err);
	if (resource->mode == RESOURCE_SHARED)
		return refuse(path, "the lock driver flock has no shared writers", err);
	if (stat(path, &info) < 0)
		return file_error(path, -errno, err);
	if (!S_ISREG(info.st_mode))
		return refuse(path, "is no regular file", err);
	*ret = *resource;
	ret->id = resource_identity_of(&info);
	return 0;
}

/* With QEMU's rights and the kind of access that QEMU will have. */
static int image_open(const struct locks *locks, struct image *image, struct error *err)
{
	int access = image->resource.mode == RESOURCE_EXCLUSIVE ? O_RDWR : O_RDONLY;
	const char *path = image->resource.path;
	struct credentials_saved saved;
	_cleanup_(closep) int fd = -1;
	struct stat info;
	int ret = 0;

	if (locks->credentials)
		ret = credentials_enter(locks->credentials, &saved, err);
	if (ret < 0)
		return error_status(err, ret, EX_NOPERM);
	fd = open(path, access | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	ret = fd < 0 || fstat(fd, &info) < 0 ? -errno : 0;
	if (locks->credentials)
		credentials_leave(&saved);
	if (ret < 0)
		return file_error(path, ret, err);
	if (!resource_identity_is(&image->resource.id, &info))
		return error_set(err, -ESTALE, "%s is another file now", path);
	image->fd = take_fd(&fd);
	image->opened_now = true;
	return 0;
}

int image_lock(const struct locks *locks, struct image *image, struct error *err)
{
	int kind = image->resource.mode == RESOURCE_EXCLUSIVE ? LOCK_EX : LOCK_SH;
	int ret = image->fd < 0 ? image_open(locks, image, err) : 0;

	if (ret < 0)
		return ret;
	if (flock(image->fd, kind | LOCK_NB) == 0) {
		image->held = image->taken_now = true;
		return 0;
	}
	if (errno == EWOULDBLOCK)
		return error_set(
			err, LOCK_BUSY, "%s is locked by another process", image->resource.path);
	return error_set(err, -errno, "lock %s: %s", image->resource.path, strerror(errno));
}

/*
 * What this acquire has opened is closed again: until the next one the path may
 * come to name another file.
 */
void image_undo(struct image *image)
{
	if (image->taken_now)
		flock(image->fd, LOCK_UN);
	if (image->taken_now)
		image->held = false;
	if (image->opened_now)
		close(take_fd(&image->fd));
}
