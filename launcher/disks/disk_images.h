/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "launcher/disks/image.h"
#include "locking/resource.h"

#define CHAIN_NO_IMAGE SIZE_MAX

/* One file or device, however often and by whichever name it is used. */
struct disk_image {
	struct resource_identity id;
	char *path;         /* absolute; the first name it was found by */
	const char *format; /* the driver's name in QEMU; NULL: QEMU does not ask */
	bool backing;       /* found as a backing file */
	size_t parent;      /* whose backing or data file it is, before it; CHAIN_NO_IMAGE: none */
	char *other_path;   /* another name that it was found by; NULL: none */
	enum resource_mode mode;
	const char *why; /* of the mode, for people */
	bool refused;    /* QEMU will not start: it may not write to it, and has to */
	bool probed;     /* its header was read: */
	enum image_format found;
	struct image *header; /* NULL: it names no other file */
	int fd;               /* still open for reading; -1: not */
};

/* All that were met, in the order in which they were met. All zeroes is empty. */
struct disk_images {
	struct disk_image *items;
	size_t n;
	size_t size;
	size_t *by_id; /* places among the items, in the order of identities */
};

void disk_images_finish(struct disk_images *images);

/* Where it is among the items, or CHAIN_NO_IMAGE. */
size_t disk_images_find(const struct disk_images *images, const struct resource_identity *id);

/*
 * The same, and if it was not met before, a new one of that name.
 *
 * Returns 0 or -ENOMEM.
 */
int disk_images_add(struct disk_images *images, const struct resource_identity *id,
	const char *path, size_t *ret);
