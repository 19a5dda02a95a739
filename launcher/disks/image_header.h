/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "launcher/disks/image.h"

/* Within the parsers of image headers. */

/* A file's beginning; what is read behind the file's end is zero. */
struct header {
	const uint8_t *bytes;
	size_t len;
	uint64_t file_size;
	bool short_of;   /* something was asked for that lies behind @len, */
	uint64_t wanted; /* and this is where the farthest of it ends */
};

void header_read(struct header *header, uint64_t offset, void *to, size_t size);
uint32_t header_be32(struct header *header, uint64_t offset);
uint64_t header_be64(struct header *header, uint64_t offset);
uint32_t header_le32(struct header *header, uint64_t offset);
uint64_t header_le64(struct header *header, uint64_t offset);

/* A name of @size bytes; it ends at a NUL, as in QEMU. */
void header_name(struct header *header, uint64_t offset, char *name, size_t size);

/* What image_parse() returns; @ret is all zeroes but for its format. */
typedef int image_parse_fn(struct header *header, struct image *ret, struct error *err);

image_parse_fn image_parse_vmdk; /* image_vmdk.c */
bool image_is_vmdk_text(const uint8_t *bytes, size_t len);
