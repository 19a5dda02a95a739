/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/image_header.h"

/*
 * vmdk, as block/vmdk.c of QEMU reads it: one file that is all, or a descriptor,
 * a text that names the files with the data.
 */
enum {
	PROBED = 512, /* how much QEMU looks at when it guesses the format */
	DESCRIPTOR_MAX = (1 << 20) - 1,
	PARENT_OFFSET = 0x200, /* where a sparse file has the text that names its parent */
	PARENT_SIZE = 20 * 512,
	EXTENT_LINE = 4096,
	RUN_MAX = 256, /* ours: so that whatever QEMU's sscanf() would take fits into EXTENT_LINE */
};

/* Comments and blank lines, then the version. */
bool image_is_vmdk_text(const uint8_t *bytes, size_t len)
{
	char text[PROBED + 1];
	const char *p = text;

	if (len > PROBED)
		len = PROBED;
	memcpy(text, bytes, len);
	text[len] = '\0';
	while (*p == '#' || *p == ' ') {
		if (*p == '#') {
			p += strcspn(p, "\n");
		} else {
			p += strspn(p, " ");
			p += *p == '\r';
			if (*p != '\n')
				return false;
		}
		p += *p == '\n';
	}
	if (strncmp(p, "version=", 8) != 0 || p[8] < '1' || p[8] > '3')
		return false;
	return p[9] == '\n' || (p[9] == '\r' && p[10] == '\n');
}

/* Words can be far apart, and numbers long; nobody writes such texts in good faith. */
static bool is_odd(const char *text)
{
	size_t blank, digits;

	for (; *text; text++) {
		blank = strspn(text, " \t\r\n\v\f");
		digits = strspn(text, "0123456789");
		if (blank > RUN_MAX || digits > RUN_MAX)
			return true;
		text += blank ? blank - 1 : digits ? digits - 1 : 0;
	}
	return false;
}

static int extent_add(struct image *ret, const char *name, bool sparse)
{
	struct image_extent *grown =
		reallocarray(ret->extents, ret->n_extents + 1, sizeof(*ret->extents));

	if (!grown)
		return -ENOMEM;
	ret->extents = grown;
	grown[ret->n_extents] = (struct image_extent){ strdup(name), sparse };
	if (!grown[ret->n_extents].name)
		return -ENOMEM;
	ret->n_extents++;
	return 0;
}

/* "RW SECTORS TYPE "NAME" OFFSET"; other lines are none, and QEMU skips them too. */
static int extent_parse(const char *line, struct image *ret)
{
	static const char *const types[] = { "FLAT", "VMFS", "SPARSE", "VMFSSPARSE", "SESPARSE" };
	char window[EXTENT_LINE], access[11], type[11], name[512];
	long long sectors;
	size_t i;

	/* on a copy: sscanf() begins with a strlen() */
	i = strnlen(line, sizeof(window) - 1);
	memcpy(window, line, i);
	window[i] = '\0';
	/* NOLINTNEXTLINE(cert-err34-c): the number is not used */
	if (sscanf(window, "%10s %lld %10s \"%511[^\n\r\"]\"", access, &sectors, type, name) < 4 ||
		strcmp(access, "RW") != 0 || sectors <= 0)
		return 0;
	for (i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (strcmp(type, types[i]) == 0)
			return extent_add(ret, name, i >= 2);
	}
	return 0;
}

static int extents_parse(const char *text, struct image *ret, struct error *err)
{
	int code = 0;

	if (is_odd(text))
		return error_set(err, -EINVAL, "the vmdk descriptor is damaged (blanks or digits)");
	while (*text && code == 0) {
		code = extent_parse(text, ret);
		text += strcspn(text, "\n");
		text += *text == '\n';
	}
	return code;
}

/* @text is the caller's; NULL: no memory. */
static char *text_read(struct header *header, uint64_t offset, size_t size)
{
	char *text = malloc(size + 1);

	if (text)
		header_name(header, offset, text, size);
	return text;
}

/* The text whose lines are the extents. */
static int descriptor_parse(
	struct header *header, uint64_t offset, struct image *ret, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	uint64_t size = header->file_size < DESCRIPTOR_MAX ? header->file_size : DESCRIPTOR_MAX;

	if (offset > IMAGE_NEEDED_MAX - DESCRIPTOR_MAX)
		return error_set(err, -EINVAL, "the vmdk header is damaged (descriptor offset)");
	text = text_read(header, offset, size);
	return text ? extents_parse(text, ret, err) : -ENOMEM;
}

/* The name of the parent stands anywhere in the first 10 KiB of the text. */
static int parent_parse(
	struct header *header, uint64_t offset, struct image *ret, struct error *err)
{
	static const char key[] = "parentFileNameHint";
	_cleanup_(freep) char *text = text_read(header, offset, PARENT_SIZE);
	const char *name;
	size_t len;

	if (!text)
		return -ENOMEM;
	name = strstr(text, key);
	if (!name)
		return 0;
	/* QEMU does not look what the two bytes behind it are */
	if (strlen(name) < sizeof(key) + 1)
		return error_set(err, -EINVAL, "the vmdk descriptor is damaged (parent)");
	name += sizeof(key) + 1;
	len = strcspn(name, "\"");
	if (name[len] != '"' || len > IMAGE_NAME_MAX)
		return error_set(err, -EINVAL, "the vmdk descriptor is damaged (parent)");
	memcpy(ret->backing, name, len);
	ret->backing[len] = '\0';
	memcpy(ret->backing_format, "vmdk", 5);
	return 0;
}

int image_parse_vmdk(struct header *header, struct image *ret, struct error *err)
{
	bool version4 = memcmp(header->bytes, "KDMV", 4) == 0;
	bool sparse = version4 || memcmp(header->bytes, "COWD", 4) == 0;
	uint64_t descriptor = 0;
	int code = 0;

	/* no room for data: all that is in it is a descriptor */
	if (version4 && header_le64(header, 12) == 0)
		descriptor = header_le64(header, 28);
	if (descriptor > IMAGE_NEEDED_MAX)
		return error_set(err, -EINVAL, "the vmdk header is damaged (descriptor offset)");
	if (!sparse || descriptor)
		code = descriptor_parse(header, descriptor * 512, ret, err);
	return code < 0 ? code : parent_parse(header, sparse ? PARENT_OFFSET : 0, ret, err);
}
