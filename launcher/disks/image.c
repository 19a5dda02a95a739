/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/image_header.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

/*
 * qcow2 (docs/interop/qcow2.txt of QEMU). Numbers are big-endian.
 */
enum {
	QCOW2_INCOMPATIBLE_DATA_FILE = 1 << 2,
	QCOW2_EXTENSION_END = 0,
	QCOW2_EXTENSION_BACKING_FORMAT = (int)0xe2792aca,
	QCOW2_EXTENSION_DATA_FILE = 0x44415441,
};

static int qcow2_extension(
	struct header *header, uint64_t offset, struct image *ret, struct error *err)
{
	uint32_t type = header_be32(header, offset);
	uint32_t size = header_be32(header, offset + 4);
	bool data_file = type == QCOW2_EXTENSION_DATA_FILE;

	if (!data_file && type != (uint32_t)QCOW2_EXTENSION_BACKING_FORMAT)
		return 0;
	if (size > (data_file ? IMAGE_NAME_MAX : IMAGE_FORMAT_MAX))
		return error_set(err, -EINVAL, "the qcow2 header has a name that is too long");
	header_name(header, offset + 8, data_file ? ret->data_file : ret->backing_format, size);
	return 0;
}

static int qcow2_extensions(
	struct header *header, uint64_t offset, uint64_t end, struct image *ret, struct error *err)
{
	while (offset + 8 <= end && header_be32(header, offset) != QCOW2_EXTENSION_END) {
		uint32_t size = header_be32(header, offset + 4);
		int code;

		if (size > end - offset - 8)
			return error_set(
				err, -EINVAL, "a qcow2 header extension is longer than the header");
		code = qcow2_extension(header, offset, ret, err);
		if (code < 0)
			return code;
		offset += 8 + (((uint64_t)size + 7) & ~(uint64_t)7);
	}
	return 0;
}

static int qcow2_parse(struct header *header, struct image *ret, struct error *err)
{
	uint32_t version = header_be32(header, 4);
	uint64_t backing = header_be64(header, 8);
	uint32_t backing_size = header_be32(header, 16);
	uint32_t cluster_bits = header_be32(header, 20);
	uint32_t header_size = version == 2 ? 72 : header_be32(header, 100);
	uint64_t incompatible = version == 2 ? 0 : header_be64(header, 72);
	uint64_t cluster;
	int code;

	if (version < 2) { /* QEMU does not take that for qcow2 either */
		ret->format = IMAGE_RAW;
		return 0;
	}
	if (version > 3)
		return error_set(err, -EINVAL, "qcow2 version %u is not known", version);
	if (cluster_bits < 9 || cluster_bits > 21)
		return error_set(err, -EINVAL, "the qcow2 header is damaged (cluster size)");
	cluster = UINT64_C(1) << cluster_bits;
	if (header_size > cluster || (version == 3 && header_size < 104))
		return error_set(err, -EINVAL, "the qcow2 header is damaged (its own size)");
	if (backing > cluster)
		return error_set(err, -EINVAL, "the qcow2 header is damaged (backing file offset)");
	code = qcow2_extensions(header, header_size, backing ? backing : cluster, ret, err);
	if (code < 0)
		return code;
	if (!(incompatible & QCOW2_INCOMPATIBLE_DATA_FILE))
		ret->data_file[0] = '\0';
	if (!backing)
		return 0;
	if (backing_size > IMAGE_NAME_MAX || backing_size > cluster - backing)
		return error_set(
			err, -EINVAL, "the qcow2 header has a backing file name that is too long");
	header_name(header, backing, ret->backing, backing_size);
	return 0;
}

/* qcow, qcow2's predecessor: the name may lie anywhere near the beginning. */
static int qcow_parse(struct header *header, struct image *ret, struct error *err)
{
	uint64_t backing = header_be64(header, 8);
	uint32_t backing_size = header_be32(header, 16);

	if (!backing)
		return 0;
	if (backing_size > IMAGE_NAME_MAX || backing > IMAGE_NEEDED_MAX - IMAGE_NAME_MAX)
		return error_set(err, -EINVAL, "the qcow header has a bad backing file name");
	header_name(header, backing, ret->backing, backing_size);
	return 0;
}

/* qed: little-endian; the name lies in the header's clusters. */
enum { QED_FEATURE_BACKING = 1 << 0, QED_FEATURE_BACKING_RAW = 1 << 2 };

static int qed_parse(struct header *header, struct image *ret, struct error *err)
{
	uint64_t features = header_le64(header, 16);
	uint32_t backing = header_le32(header, 56);
	uint32_t backing_size = header_le32(header, 60);

	if (!(features & QED_FEATURE_BACKING))
		return 0;
	if (backing_size > IMAGE_NAME_MAX || backing > IMAGE_NEEDED_MAX - IMAGE_NAME_MAX)
		return error_set(err, -EINVAL, "the qed header has a bad backing file name");
	header_name(header, backing, ret->backing, backing_size);
	if (features & QED_FEATURE_BACKING_RAW)
		memcpy(ret->backing_format, "raw", 4);
	return 0;
}

/* bochs: QEMU is choosy, and takes the rest for raw, which is written to. */
static int bochs_parse(struct header *header, struct image *ret, struct error *err)
{
	char type[17], subtype[17];
	uint32_t version = header_le32(header, 64);

	(void)err;
	header_name(header, 32, type, 16);
	header_name(header, 48, subtype, 16);
	if (strcmp(type, "Redolog") != 0 || strcmp(subtype, "Growing") != 0 ||
		(version != 0x10000 && version != 0x20000))
		ret->format = IMAGE_RAW;
	return 0;
}

static const struct magic {
	size_t offset;
	const char *bytes;
	size_t len;
	enum image_format format;
	image_parse_fn *parse;
} magics[] = {
#define MAGIC(offset, text, ...)                            \
	{                                                   \
		offset, text, sizeof(text) - 1, __VA_ARGS__ \
	}
	MAGIC(0, "QFI\xfb\0\0\0\1", IMAGE_QCOW, qcow_parse),
	MAGIC(0, "QFI\xfb", IMAGE_QCOW2, qcow2_parse),
	MAGIC(0, "QED\0", IMAGE_QED, qed_parse),
	MAGIC(0, "KDMV", IMAGE_VMDK, image_parse_vmdk),
	MAGIC(0, "COWD", IMAGE_VMDK, image_parse_vmdk),
	MAGIC(64, "\x7f\x10\xda\xbe", IMAGE_VDI),
	MAGIC(0, "vhdxfile", IMAGE_VHDX),
	MAGIC(0, "conectix", IMAGE_VPC),
	MAGIC(0, "LUKS\xba\xbe", IMAGE_LUKS),
	MAGIC(0, "WithoutFreeSpace", IMAGE_PARALLELS),
	MAGIC(0, "WithouFreSpacExt", IMAGE_PARALLELS),
	MAGIC(0, "Bochs Virtual HD Image\0", IMAGE_BOCHS, bochs_parse),
	MAGIC(0,
		"#!/bin/sh\n#V2.0 Format\n"
		"modprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n",
		IMAGE_CLOOP),
#undef MAGIC
};

static const struct magic *magic_find(const uint8_t *bytes, size_t len)
{
	static const struct magic vmdk_text = {
		.format = IMAGE_VMDK,
		.parse = image_parse_vmdk,
	};
	const struct magic *magic;
	size_t i;

	for (i = 0; i < sizeof(magics) / sizeof(*magics); i++) {
		magic = &magics[i];
		if (magic->offset + magic->len <= len &&
			memcmp(bytes + magic->offset, magic->bytes, magic->len) == 0)
			return magic;
	}
	return image_is_vmdk_text(bytes, len) ? &vmdk_text : NULL;
}

int image_parse(
	const uint8_t *bytes, size_t len, uint64_t file_size, struct image *ret, struct error *err)
{
	struct header header = { .bytes = bytes, .len = len, .file_size = file_size };
	const struct magic *magic = magic_find(bytes, len);
	int code;

	*ret = (struct image){ .format = magic ? magic->format : IMAGE_RAW };
	if (!magic || !magic->parse)
		return 0;
	code = magic->parse(&header, ret, err);
	if (code < 0 || header.short_of)
		image_finish(ret);
	if (code == -ENOMEM || !header.short_of)
		return code;
	/* whatever it said: what we had not was taken for zeroes */
	/* that of a vmdk is as much as it asked for, of others more may turn out to be needed */
	ret->needed = ret->format == IMAGE_VMDK ? header.wanted : IMAGE_NEEDED_MAX;
	if (ret->needed > file_size)
		ret->needed = file_size;
	return IMAGE_NEEDS_MORE;
}

const char *image_format_name(enum image_format format)
{
	static const char *const names[] = {
		[IMAGE_RAW] = "raw",
		[IMAGE_QCOW2] = "qcow2",
		[IMAGE_QCOW] = "qcow",
		[IMAGE_QED] = "qed",
		[IMAGE_VMDK] = "vmdk",
		[IMAGE_VDI] = "vdi",
		[IMAGE_VHDX] = "vhdx",
		[IMAGE_VPC] = "vpc",
		[IMAGE_LUKS] = "luks",
		[IMAGE_PARALLELS] = "parallels",
		[IMAGE_BOCHS] = "bochs",
		[IMAGE_CLOOP] = "cloop",
	};

	return names[format];
}

void image_finish(struct image *image)
{
	size_t i;

	for (i = 0; i < image->n_extents; i++)
		free(image->extents[i].name);
	free(image->extents);
	image->extents = NULL;
	image->n_extents = 0;
}
