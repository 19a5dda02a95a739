/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * What an image says about itself: its format, and which other files belong to
 * it. A guest can write anything there, so every number is checked, by QEMU's
 * own limits.
 */
enum image_format {
	IMAGE_RAW, /* or nothing that we know; QEMU takes it as raw then, too */
	IMAGE_QCOW2,
	IMAGE_QCOW,
	IMAGE_QED,
	IMAGE_VMDK,
	IMAGE_VDI,
	IMAGE_VHDX,
	IMAGE_VPC,
	IMAGE_LUKS,
	IMAGE_PARALLELS,
	IMAGE_BOCHS,
	IMAGE_CLOOP,
};

#define IMAGE_NAME_MAX   1023 /* QEMU's limit for a backing file's name */
#define IMAGE_FORMAT_MAX 15   /* and for its format */

/* Enough of a file for all but very odd images. */
#define IMAGE_HEADER_SIZE 4096

/* vmdk: a file that the data is in, written like the image itself. */
struct image_extent {
	char *name;  /* beside the image, if it does not begin with a slash */
	bool sparse; /* it has a header of its own */
};

/* image_finish() ends it. */
struct image {
	enum image_format format;
	char backing[IMAGE_NAME_MAX + 1]; /* as written in the header; "": none */
	char backing_format[IMAGE_FORMAT_MAX + 1];
	char data_file[IMAGE_NAME_MAX + 1]; /* qcow2: where the data is; "": in the image */
	struct image_extent *extents;       /* @n_extents of them, in QEMU's order */
	size_t n_extents;
	size_t needed; /* see IMAGE_NEEDS_MORE */
};

void image_finish(struct image *image);

/*
 * @bytes, @len		the beginning of the file
 * @file_size		of the whole file; what lies behind its end reads as zeroes
 * @ret			always written
 *
 * Returns 0; IMAGE_NEEDS_MORE (call again with the first @ret->needed bytes, never
 * more than IMAGE_NEEDED_MAX or @file_size); -EINVAL with a sentence: the header
 * claims a format that we follow and is damaged; or -ENOMEM. @ret needs an
 * image_finish() only after 0.
 */
enum { IMAGE_NEEDS_MORE = 1 };
#define IMAGE_NEEDED_MAX (2 * 1024 * 1024 + 1024)
int image_parse(
	const uint8_t *bytes, size_t len, uint64_t file_size, struct image *ret, struct error *err);

/* QEMU's name of the driver: "raw", "qcow2", ... */
const char *image_format_name(enum image_format format);
