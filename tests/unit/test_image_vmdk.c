/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "chain_fixture.h"
#include "launcher/disks/chain.h"
#include "launcher/disks/image.h"

#define HEAD "# Disk DescriptorFile\nversion=1\n"

/* In one step or in two, as the launcher reads them; the same must come of it. */
static int parse_from(
	const char *text, size_t len, size_t first, struct image *ret, struct error *err)
{
	int code = image_parse((const uint8_t *)text, first < len ? first : len, len, ret, err);

	if (code != IMAGE_NEEDS_MORE)
		return code;
	assert_true(ret->needed > first && ret->needed <= len);
	return image_parse((const uint8_t *)text, ret->needed, len, ret, err);
}

/* "F:name S:name <parent" */
static char *summary(const char *text, size_t len, size_t first)
{
	struct str out = { 0 };
	struct error err = { 0 };
	struct image image;
	int code = parse_from(text, len, first, &image, &err);
	size_t i;

	str_append(&out, "");
	if (code < 0) {
		assert_true(*err.text);
		str_append(&out, "refused");
		return str_take(&out);
	}
	if (image.format != IMAGE_VMDK)
		str_append(&out, image_format_name(image.format));
	for (i = 0; i < image.n_extents; i++)
		str_printf(
			&out, "%c:%s ", image.extents[i].sparse ? 'S' : 'F', image.extents[i].name);
	if (*image.backing)
		str_printf(&out, "<%s", image.backing);
	image_finish(&image);
	return str_take(&out);
}

static void expect(const char *text, size_t len, const char *wanted)
{
	_cleanup_(freep) char *at_once = summary(text, len, len);
	_cleanup_(freep) char *in_steps = summary(text, len, 512);

	assert_string_equal(at_once, wanted);
	assert_string_equal(in_steps, wanted);
}

static void a_descriptor_names_its_extents(void **state)
{
	static const char *const rows[][2] = {
		{ HEAD, "" },
		{ HEAD "RW 8192 FLAT \"a.vmdk\" 0\n", "F:a.vmdk " },
		{ HEAD "RW 8192 FLAT \"a.vmdk\" 0\nRW 1 FLAT \"b\" 7\n", "F:a.vmdk F:b " },
		{ HEAD "RW 8192 SPARSE \"/x/a b.vmdk\"\n", "S:/x/a b.vmdk " },
		{ HEAD "RW 8192 VMFS \"a\"\n", "F:a " },
		{ HEAD "RW 8192 VMFSSPARSE \"a\"\nRW 8192 SESPARSE \"b\"\n", "S:a S:b " },
		{ HEAD "  RW\t8192\r\nFLAT \"a\" 0", "F:a " }, /* sscanf() goes over lines */
		{ HEAD "RW 8192 FLAT \"a\" 0\r\n", "F:a " },
		/* QEMU passes over these */
		{ HEAD "RDONLY 8192 FLAT \"a\" 0\nNOACCESS 8192 FLAT \"b\" 0\n", "" },
		{ HEAD "RW 0 FLAT \"a\" 0\nRW -5 FLAT \"b\" 0\nRW x FLAT \"c\" 0\n", "" },
		{ HEAD "RW 8192 OTHER \"a\" 0\nRW 8192 flat \"b\" 0\nRW 8192 FLAT a 0\n", "" },
		{ HEAD "RW 8192 FLAT \"\" 0\n", "" },
		{ HEAD "#RW 8192 FLAT \"a\" 0\n", "" },
		{ HEAD "parentFileNameHint=\"p.vmdk\"\nRW 8 SPARSE \"a\"\n", "S:a <p.vmdk" },
		{ HEAD "#parentFileNameHint: /p\"", "</p" }, /* wherever it stands */
		{ HEAD "parentFileNameHint=\"p.vmdk\n", "refused" },
		{ HEAD "parentFileNameHint", "refused" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		expect(rows[i][0], strlen(rows[i][0]), rows[i][1]);
}

/* As vmdk_probe() of QEMU. */
static void a_descriptor_is_known_by_its_version(void **state)
{
	static const char *const rows[][2] = {
		{ "version=1\n", "" },
		{ "version=2\r\n", "" },
		{ "# a\n# b\n   \n  \r\nversion=3\n", "" },
		{ "version=4\n", "raw" },
		{ "version=1", "raw" },
		{ "version=1 \n", "raw" },
		{ "Version=1\n", "raw" },
		{ "# Disk DescriptorFile\n", "raw" },
		{ "# Disk DescriptorFile", "raw" },
		{ " x\nversion=1\n", "raw" },
		{ "\nversion=1\n", "raw" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		expect(rows[i][0], strlen(rows[i][0]), rows[i][1]);
}

/* A file with a header of its own, with a text at @offset. */
static char *sparse(uint64_t capacity, uint64_t descriptor, const char *text, size_t offset)
{
	char *bytes = calloc(1, 32768);

	assert_non_null(bytes);
	memcpy(bytes, "KDMV", 4);
	capacity = htole64(capacity);
	descriptor = htole64(descriptor);
	memcpy(bytes + 12, &capacity, 8);
	memcpy(bytes + 28, &descriptor, 8);
	memcpy(bytes + offset, text, strlen(text));
	return bytes;
}

static void a_sparse_file_has_its_data_in_itself(void **state)
{
	static const char text[] = "RW 8192 SPARSE \"self\"\nparentFileNameHint=\"p\"\n";
	static const struct {
		uint64_t capacity, descriptor;
		size_t offset;
		const char *wanted;
	} rows[] = {
		{ 8192, 1, 512, "<p" },
		{ 8192, 1, 513, "" }, /* a text ends at a NUL */
		{ 8192, 1, 100, "" },
		{ 0, 0, 512, "<p" },
		{ 0, 1, 512, "S:self <p" }, /* a descriptor, and nothing else */
		{ 0, 32, 16384, "S:self " },
		{ 0, 1 << 20, 512, "refused" },
		{ 0, UINT64_MAX, 512, "refused" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(freep) char *bytes =
			sparse(rows[i].capacity, rows[i].descriptor, text, rows[i].offset);

		expect(bytes, 32768, rows[i].wanted);
	}
}

static void hostile_descriptors_are_refused(void **state)
{
	_cleanup_(freep) char *cut = NULL;
	char text[4096], name[601] = "";

	(void)state;
	snprintf(text, sizeof(text), HEAD "RW%*s8192 FLAT \"a\" 0\n", 300, "");
	expect(text, strlen(text), "refused");
	snprintf(text, sizeof(text), HEAD "RW %0300d FLAT \"a\" 0\n", 1);
	expect(text, strlen(text), "refused");
	/* QEMU cuts a name at 511 bytes, and does not mind that no quote follows */
	memset(name, 'x', sizeof(name) - 1);
	snprintf(text, sizeof(text), HEAD "RW 8 SPARSE \"%s\"\n", name);
	cut = summary(text, strlen(text), strlen(text));
	assert_int_equal(strlen(cut), strlen("S: ") + 511);
	snprintf(text, sizeof(text), HEAD "parentFileNameHint=\"%01024d\"\n", 1);
	expect(text, strlen(text), "refused");
}

#define VMDK(text) chain_put("disk", HEAD text, strlen(HEAD text))

static void extents_are_used_as_the_image_is(void **state)
{
	(void)state;
	assert_int_equal(mkdir("sub", 0755), 0);
	chain_put_raw("a");
	chain_put_raw("sub/b");
	chain_put("sub/disk", HEAD "RW 8 FLAT \"b\" 0\nRW 8 FLAT \"../a\" 0\n",
		strlen(HEAD "RW 8 FLAT \"b\" 0\nRW 8 FLAT \"../a\" 0\n"));
	chain_expect("-hda sub/disk", "sub/../a exclusive, sub/b exclusive, sub/disk exclusive");
	chain_expect("-drive file=sub/disk,format=vmdk,readonly=on",
		"sub/../a reader, sub/b reader, sub/disk reader");
	chain_expect("-drive file=sub/disk,format=raw", "sub/disk exclusive");
	chain_expect("-drive if=none,id=d,file=sub/disk -device x,drive=d,share-rw=on",
		"sub/../a exclusive, sub/b exclusive, sub/disk exclusive");
	chain_put("top", HEAD "RW 8 FLAT \"a\" 0\nparentFileNameHint=\"sub/disk\"\n",
		strlen(HEAD "RW 8 FLAT \"a\" 0\nparentFileNameHint=\"sub/disk\"\n"));
	chain_expect("-hda top", "a exclusive, sub/b reader, sub/disk reader, top exclusive");
	/* options stand beside the name that the descriptor gives */
	chain_expect("-drive file=top,extents.0.locking=off",
		"a exclusive, sub/b reader, sub/disk reader, top exclusive");
	chain_put_raw("base");
	chain_put_qcow2("over", "base", "raw");
	chain_put("nested", HEAD "RW 8 FLAT \"a\" 0\nRW 8 FLAT \"over\" 0\n",
		strlen(HEAD "RW 8 FLAT \"a\" 0\nRW 8 FLAT \"over\" 0\n"));
	chain_expect("-drive file=nested,extents.1.driver=qcow2",
		"a exclusive, base reader, nested exclusive, over exclusive");
}

static void extents_are_looked_at_as_all_files_are(void **state)
{
	(void)state;
	VMDK("RW 8 FLAT \"gone\" 0\n");
	chain_refuses("-hda disk", EX_NOINPUT, "extent of");
	chain_refuses("-hda disk", EX_NOINPUT, "gone: No such file");
	assert_int_equal(remove("disk"), 0);
	assert_int_equal(mkfifo("fifo", 0644), 0);
	VMDK("RW 8 SPARSE \"fifo\"\n");
	chain_refuses("-hda disk", EX_DATAERR, "a FIFO");
	assert_int_equal(remove("disk"), 0);
	VMDK("RW 8 FLAT \"/proc/self/environ\" 0\n");
	chain_refuses("-hda disk", EX_DATAERR, "kernel");
	assert_int_equal(remove("disk"), 0);
	VMDK("RW 8 SPARSE \"disk\"\n");
	chain_refuses("-hda disk", EX_DATAERR, "lead back");
	assert_int_equal(remove("disk"), 0);
	VMDK("RW 8 SPARSE \"other\"\n");
	chain_put("other", HEAD "RW 8 FLAT \"disk\" 0\n", strlen(HEAD "RW 8 FLAT \"disk\" 0\n"));
	chain_refuses("-hda disk", EX_DATAERR, "an extent has extents");
}

/* One beside the other: nothing is nested there. */
static void too_many_extents_are_said_to_be_too_many(void **state)
{
	_cleanup_(str_finish) struct str text = { 0 };
	size_t i;

	(void)state;
	chain_put_raw("a");
	str_append(&text, HEAD);
	for (i = 0; i < CHAIN_VISITS_MAX; i++)
		str_append(&text, "RW 8 FLAT \"a\" 0\n");
	chain_put("disk", text.text, text.len);
	chain_refuses("-hda disk", EX_DATAERR, "more than 20000 block nodes");
}

static void a_text_that_is_called_a_vmdk_is_noted(void **state)
{
	(void)state;
	chain_put_raw("odd");
	chain_expect("-drive file=odd,format=vmdk", "odd exclusive; not-understood");
}

static void formats_that_cannot_be_written_are_readers_if_they_are_given(void **state)
{
	static const char bochs[] = "Bochs Virtual HD Image\0\0\0\0\0\0\0\0\0\0"
				    "Redolog\0\0\0\0\0\0\0\0\0Growing\0\0\0\0\0\0\0\0\0\0\0\2";
	static const char cloop[] = "#!/bin/sh\n#V2.0 Format\n"
				    "modprobe cloop file=$0 && mount -r -t iso9660 /dev/cloop $1\n";

	(void)state;
	chain_put("bochs", bochs, sizeof(bochs));
	chain_put_raw("disk.dmg");
	chain_put_raw("dmg");
	chain_put("cloop", cloop, sizeof(cloop));
	chain_expect("-drive file=bochs,format=bochs,if=virtio", "bochs reader");
	chain_expect("-drive file=bochs,format=raw", "bochs exclusive");
	chain_expect("-drive file=disk.dmg,format=dmg", "disk.dmg reader");
	chain_expect("-drive file=disk.dmg,format=raw", "disk.dmg exclusive");
	chain_expect("-drive file=cloop,format=cloop", "cloop reader");
	/* that QEMU has a driver for it is not known */
	chain_expect("-hda bochs", "bochs exclusive");
	chain_expect("-drive file=bochs,if=virtio,readonly=on", "bochs reader");
	chain_expect("-drive file=bochs,if=none,id=d -device virtio-blk,drive=d,share-rw=on",
		"bochs exclusive");
	chain_expect("-drive file=disk.dmg", "disk.dmg exclusive");
	chain_expect("-cdrom disk.dmg", "disk.dmg reader");
	chain_expect("-hda cloop", "cloop exclusive");
	chain_expect("-hda cloop -snapshot", "cloop reader");
	chain_expect("-drive file=dmg", "dmg exclusive");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_descriptor_names_its_extents),
		cmocka_unit_test(a_descriptor_is_known_by_its_version),
		cmocka_unit_test(a_sparse_file_has_its_data_in_itself),
		cmocka_unit_test(hostile_descriptors_are_refused),
		cmocka_unit_test_setup_teardown(
			extents_are_used_as_the_image_is, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			extents_are_looked_at_as_all_files_are, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			too_many_extents_are_said_to_be_too_many, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			a_text_that_is_called_a_vmdk_is_noted, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			formats_that_cannot_be_written_are_readers_if_they_are_given, chain_setup,
			chain_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
