/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/disks/image.h"

/* A header made by hand, and the file it stands in. */
struct made {
	uint8_t bytes[IMAGE_HEADER_SIZE];
	size_t used;
	uint64_t file_size;
};

static void put32(struct made *made, size_t offset, uint32_t value)
{
	value = htobe32(value);
	memcpy(made->bytes + offset, &value, sizeof(value));
}

static void put64(struct made *made, size_t offset, uint64_t value)
{
	value = htobe64(value);
	memcpy(made->bytes + offset, &value, sizeof(value));
}

static void put_name(struct made *made, size_t offset, const char *name)
{
	put64(made, 8, offset);
	put32(made, 16, strlen(name));
	memcpy(made->bytes + offset, name, strlen(name));
}

/* Returns where the next extension goes. */
static size_t put_extension(struct made *made, size_t offset, uint32_t type, const char *text)
{
	put32(made, offset, type);
	put32(made, offset + 4, strlen(text));
	memcpy(made->bytes + offset + 8, text, strlen(text));
	return offset + 8 + (strlen(text) + 7) / 8 * 8;
}

static struct made qcow2(uint32_t version)
{
	struct made made = { .file_size = 65536 };

	memcpy(made.bytes, "QFI\xfb", 4);
	put32(&made, 4, version);
	put32(&made, 20, 16);
	if (version >= 3)
		put32(&made, 100, 104);
	return made;
}

static int parse(const struct made *made, struct image *ret)
{
	size_t len = made->file_size < sizeof(made->bytes) ? made->file_size : sizeof(made->bytes);
	struct error err = { 0 };
	int code = image_parse(made->bytes, len, made->file_size, ret, &err);

	if (code < 0)
		assert_true(strlen(err.text) > 0);
	return code;
}

#define BACKING_FORMAT 0xe2792aca
#define DATA_FILE      0x44415441

static void a_backing_file_is_found_in_both_versions(void **state)
{
	struct image image;
	uint32_t version;

	(void)state;
	for (version = 2; version <= 3; version++) {
		struct made made = qcow2(version);
		size_t extensions = version == 2 ? 72 : 104;

		put_extension(&made, extensions, BACKING_FORMAT, "raw");
		put_name(&made, 200, "dir/base.img");
		assert_int_equal(parse(&made, &image), 0);
		assert_int_equal(image.format, IMAGE_QCOW2);
		assert_string_equal(image.backing, "dir/base.img");
		assert_string_equal(image.backing_format, "raw");
		assert_string_equal(image.data_file, "");
	}
}

static void an_image_without_a_backing_file_has_none(void **state)
{
	struct made made = qcow2(3);
	struct image image;

	(void)state;
	assert_int_equal(parse(&made, &image), 0);
	assert_string_equal(image.backing, "");
	assert_string_equal(image.backing_format, "");
}

static void a_data_file_counts_only_with_its_flag(void **state)
{
	struct made made = qcow2(3);
	struct image image;
	size_t next;

	(void)state;
	next = put_extension(&made, 104, 0x6803f857, "unknown extension");
	next = put_extension(&made, next, DATA_FILE, "data.raw");
	put_extension(&made, next, BACKING_FORMAT, "qcow2");
	assert_int_equal(parse(&made, &image), 0);
	assert_string_equal(image.data_file, "");
	assert_string_equal(image.backing_format, "qcow2");
	put64(&made, 72, 4);
	assert_int_equal(parse(&made, &image), 0);
	assert_string_equal(image.data_file, "data.raw");
}

static void a_name_ends_at_a_nul_as_in_qemu(void **state)
{
	struct made made = qcow2(3);
	struct image image;

	(void)state;
	put_name(&made, 200, "base.img");
	made.bytes[204] = '\0';
	assert_int_equal(parse(&made, &image), 0);
	assert_string_equal(image.backing, "base");
}

static void a_name_far_inside_asks_for_more_once(void **state)
{
	struct made made = qcow2(3);
	uint8_t *whole = calloc(1, 65536);
	struct image image;

	(void)state;
	put64(&made, 8, 60000);
	put32(&made, 16, 8);
	assert_int_equal(parse(&made, &image), IMAGE_NEEDS_MORE);
	assert_int_equal(image.needed, 65536);
	memcpy(whole, made.bytes, sizeof(made.bytes));
	memcpy(whole + 60000, "far away", 8);
	assert_int_equal(image_parse(whole, 65536, 65536, &image, NULL), 0);
	assert_string_equal(image.backing, "far away");
	free(whole);
}

static void what_is_needed_is_bounded(void **state)
{
	struct made made = qcow2(3);
	struct image image;

	(void)state;
	made.file_size = UINT64_MAX;
	put32(&made, 20, 21);
	put64(&made, 8, 1 << 20);
	put32(&made, 16, 1023);
	assert_int_equal(parse(&made, &image), IMAGE_NEEDS_MORE);
	assert_true(image.needed <= IMAGE_NEEDED_MAX);
}

static void what_lies_behind_the_end_reads_as_zero(void **state)
{
	struct made made = qcow2(3);
	struct image image;

	(void)state;
	made.file_size = 200;
	put_name(&made, 300, "never read");
	assert_int_equal(parse(&made, &image), 0);
	assert_string_equal(image.backing, "");
	/* half of the name is there */
	put_name(&made, 196, "halfgone");
	assert_int_equal(parse(&made, &image), 0);
	assert_string_equal(image.backing, "half");
}

/* One number of a good header, changed. */
static void a_hostile_qcow2_header_is_refused(void **state)
{
	static const struct {
		size_t offset, size;
		uint64_t value;
	} rows[] = {
		{ 4, 4, 4 }, /* version */
		{ 4, 4, UINT32_MAX },
		{ 20, 4, 8 }, /* cluster bits */
		{ 20, 4, 22 },
		{ 20, 4, UINT32_MAX },
		{ 100, 4, 0 }, /* header length */
		{ 100, 4, 103 },
		{ 100, 4, 65537 },
		{ 100, 4, UINT32_MAX },
		{ 8, 8, 65537 }, /* backing file offset */
		{ 8, 8, UINT64_MAX },
		{ 8, 8, UINT64_MAX - 7 },
		{ 16, 4, 1024 }, /* backing file size */
		{ 16, 4, UINT32_MAX },
		{ 108, 4, 16 }, /* size of the backing format */
		{ 108, 4, UINT32_MAX },
		{ 108, 4, UINT32_MAX - 7 },
	};
	struct image image;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct made made = qcow2(3);

		put_extension(&made, 104, BACKING_FORMAT, "raw");
		put_name(&made, 200, "base");
		assert_int_equal(parse(&made, &image), 0);
		if (rows[i].size == 4)
			put32(&made, rows[i].offset, rows[i].value);
		else
			put64(&made, rows[i].offset, rows[i].value);
		assert_int_equal(parse(&made, &image), -EINVAL);
	}
}

static void a_name_over_the_clusters_end_is_refused(void **state)
{
	struct made made = qcow2(3);
	struct image image;

	(void)state;
	put32(&made, 20, 9);
	put64(&made, 8, 500);
	put32(&made, 16, 12);
	assert_int_equal(parse(&made, &image), 0);
	put32(&made, 16, 13);
	assert_int_equal(parse(&made, &image), -EINVAL);
}

static void a_cut_off_header_is_refused(void **state)
{
	struct made made = qcow2(3);
	struct image image;
	uint64_t size;

	(void)state;
	for (size = 8; size < 24; size++) {
		made.file_size = size;
		assert_int_equal(parse(&made, &image), size < 24 ? -EINVAL : 0);
	}
}

static void extensions_without_end_are_walked_once(void **state)
{
	struct made made = qcow2(3);
	struct image image;
	size_t i;

	(void)state;
	for (i = 104; i + 8 <= sizeof(made.bytes); i += 8)
		put32(&made, i, 0x12345678);
	made.file_size = sizeof(made.bytes);
	assert_int_equal(parse(&made, &image), 0);
}

static void the_older_formats_backing_files_are_found(void **state)
{
	struct made qcow = { .bytes = "QFI\xfb\0\0\0\1", .file_size = 4096 };
	struct made qed = { .bytes = "QED", .file_size = 4096 };
	uint32_t little;
	struct image image;

	(void)state;
	put_name(&qcow, 48, "old");
	assert_int_equal(parse(&qcow, &image), 0);
	assert_int_equal(image.format, IMAGE_QCOW);
	assert_string_equal(image.backing, "old");

	qed.bytes[16] = 1 | 4;
	little = htole32(64);
	memcpy(qed.bytes + 56, &little, 4);
	little = htole32(5);
	memcpy(qed.bytes + 60, &little, 4);
	memcpy(qed.bytes + 64, "older", 5);
	assert_int_equal(parse(&qed, &image), 0);
	assert_int_equal(image.format, IMAGE_QED);
	assert_string_equal(image.backing, "older");
	assert_string_equal(image.backing_format, "raw");
	qed.bytes[16] = 0;
	assert_int_equal(parse(&qed, &image), 0);
	assert_string_equal(image.backing, "");
	qed.bytes[16] = 1;
	memset(qed.bytes + 60, 0xff, 4);
	assert_int_equal(parse(&qed, &image), -EINVAL);
}

/* Type and subtype have seven letters here. */
#define BOCHS(type, subtype)                                                           \
	"Bochs Virtual HD Image\0\0\0\0\0\0\0\0\0\0" type "\0\0\0\0\0\0\0\0\0" subtype \
	"\0\0\0\0\0\0\0\0\0"
#define CLOOP                       \
	"#!/bin/sh\n#V2.0 Format\n" \
	"modprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n"

static void formats_are_known_by_their_magic(void **state)
{
	static const struct {
		size_t offset;
		const char *bytes;
		size_t len;
		const char *name;
	} rows[] = {
		{ 0, "", 0, "raw" },
		{ 0, "QFI\xfb\0\0\0\0", 8, "raw" },
		{ 0, "KDMV", 4, "vmdk" },
		{ 0, "COWD", 4, "vmdk" },
		{ 64, "\x7f\x10\xda\xbe", 4, "vdi" },
		{ 0, "vhdxfile", 8, "vhdx" },
		{ 0, "conectix", 8, "vpc" },
		{ 0, "LUKS\xba\xbe", 6, "luks" },
		{ 0, "WithoutFreeSpace", 16, "parallels" },
		{ 0, "WithouFreSpacExt", 16, "parallels" },
		{ 0, BOCHS("Redolog", "Growing") "\0\0\2\0", 68, "bochs" },
		{ 0, BOCHS("Redolog", "Growing") "\0\0\1\0", 68, "bochs" },
		{ 0, BOCHS("Redolog", "Growing") "\0\0\3\0", 68, "raw" },
		{ 0, BOCHS("Redolog", "Undoabl") "\0\0\2\0", 68, "raw" },
		{ 0, BOCHS("Another", "Growing") "\0\0\2\0", 68, "raw" },
		{ 0, "Bochs Virtual HD Image 2", 24, "raw" },
		{ 0, CLOOP, sizeof(CLOOP) - 1, "cloop" },
		{ 0, CLOOP, sizeof(CLOOP) - 2, "raw" },
	};
	struct image image;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct made made = { .file_size = 512 };

		memcpy(made.bytes + rows[i].offset, rows[i].bytes, rows[i].len);
		assert_int_equal(parse(&made, &image), 0);
		assert_string_equal(image_format_name(image.format), rows[i].name);
	}
}

static void an_empty_file_is_raw(void **state)
{
	struct image image;

	(void)state;
	assert_int_equal(image_parse((const uint8_t *)"", 0, 0, &image, NULL), 0);
	assert_int_equal(image.format, IMAGE_RAW);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_backing_file_is_found_in_both_versions),
		cmocka_unit_test(an_image_without_a_backing_file_has_none),
		cmocka_unit_test(a_data_file_counts_only_with_its_flag),
		cmocka_unit_test(a_name_ends_at_a_nul_as_in_qemu),
		cmocka_unit_test(a_name_far_inside_asks_for_more_once),
		cmocka_unit_test(what_is_needed_is_bounded),
		cmocka_unit_test(what_lies_behind_the_end_reads_as_zero),
		cmocka_unit_test(a_hostile_qcow2_header_is_refused),
		cmocka_unit_test(a_name_over_the_clusters_end_is_refused),
		cmocka_unit_test(a_cut_off_header_is_refused),
		cmocka_unit_test(extensions_without_end_are_walked_once),
		cmocka_unit_test(the_older_formats_backing_files_are_found),
		cmocka_unit_test(formats_are_known_by_their_magic),
		cmocka_unit_test(an_empty_file_is_raw),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
