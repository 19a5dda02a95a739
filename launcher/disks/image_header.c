/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/image_header.h"

#include <endian.h>
#include <string.h>

void header_read(struct header *header, uint64_t offset, void *to, size_t size)
{
	uint64_t end = offset + size;

	memset(to, 0, size);
	if (offset >= header->file_size)
		return;
	if (end > header->file_size)
		end = header->file_size;
	if (end > header->len) {
		header->short_of = true;
		if (end > header->wanted)
			header->wanted = end;
		return;
	}
	memcpy(to, header->bytes + offset, end - offset);
}

uint32_t header_be32(struct header *header, uint64_t offset)
{
	uint32_t value;

	header_read(header, offset, &value, sizeof(value));
	return be32toh(value);
}

uint64_t header_be64(struct header *header, uint64_t offset)
{
	uint64_t value;

	header_read(header, offset, &value, sizeof(value));
	return be64toh(value);
}

uint32_t header_le32(struct header *header, uint64_t offset)
{
	uint32_t value;

	header_read(header, offset, &value, sizeof(value));
	return le32toh(value);
}

uint64_t header_le64(struct header *header, uint64_t offset)
{
	uint64_t value;

	header_read(header, offset, &value, sizeof(value));
	return le64toh(value);
}

/* A name of @size bytes; it ends at a NUL, as in QEMU. */
void header_name(struct header *header, uint64_t offset, char *name, size_t size)
{
	header_read(header, offset, name, size);
	name[size] = '\0';
}
