/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_device.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "locking/block_device.h"
#include "locking/file_open.h"

#define CLAIM_ATTEMPTS 20
#define CLAIM_PAUSE_MS 5

void file_device_make_canonical(struct file_image *image)
{
	struct file_place *place = &image->places[0];
	_cleanup_(freep) char *path = NULL;
	_cleanup_(closep) int fd = -1;
	struct resource_identity id;
	struct block_device device;

	if (block_device_find(&block_sources, place->id.dev, &device, NULL) < 0 ||
		asprintf(&path, "/dev/%s", device.name) < 0) {
		path = NULL;
		return;
	}
	fd = file_open(path, file_use_writes(place->use), &id, NULL);
	if (fd < 0 || !resource_identity_equal(&id, &place->id))
		return; /* a /dev of its own, as in a container */
	close(place->life);
	place->life = take_fd(&fd);
	free(place->path);
	place->path = take_ptr(path);
}

static int refuse(const struct file_image *image, const char *by, struct error *err)
{
	error_set(err, -EBUSY, "%s is %s: a guest that writes to it would destroy that",
		image->resource.path, by);
	return error_status(err, -EBUSY, EX_DATAERR);
}

int file_device_check_unused(const struct file_image *image, struct error *err)
{
	struct block_device device;
	char by[256];
	int ret;

	if (image->resource.mode == RESOURCE_READER)
		return 0;
	ret = block_device_find(&block_sources, image->resource.id.dev, &device, err);
	if (ret == 0)
		ret = block_device_in_use(&block_sources, &device, by, sizeof(by), err);
	return ret > 0 ? refuse(image, by, err) : ret;
}

int file_device_check_claim(const struct file_image *image, struct error *err)
{
	int left = CLAIM_ATTEMPTS, fd;
	char link[64];

	if (image->resource.mode == RESOURCE_READER)
		return 0;
	snprintf(link, sizeof(link), "/proc/self/fd/%d", image->places[0].life);
	do { /* other shared writers may try at this moment */
		fd = TEMP_FAILURE_RETRY(open(link, O_RDONLY | O_EXCL | O_NONBLOCK | O_CLOEXEC));
		if (fd >= 0) {
			close(fd);
			return 0;
		}
		if (errno != EBUSY)
			return 0; /* who cannot try does not know */
		clock_sleep_ms(CLAIM_PAUSE_MS);
	} while (--left);
	return refuse(
		image, "in use by this host (mounted, or part of LVM, RAID or the like)", err);
}
