/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/disks/disks.h"

/* Each test has a directory of its own and works in it. */

static char directory[] = "/tmp/vmlatch-chain-XXXXXX";

static int setup(void **state)
{
	(void)state;
	strcpy(directory + strlen(directory) - 6, "XXXXXX");
	return !mkdtemp(directory) || chmod(directory, 0755) < 0 || chdir(directory) < 0;
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return chdir("/") < 0 || nftw(directory, remove_one, 8, FTW_DEPTH | FTW_PHYS) < 0;
}

static void put(const char *name, const void *bytes, size_t len)
{
	int fd = open(name, O_CREAT | O_EXCL | O_WRONLY | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static void put_raw(const char *name)
{
	static const char zeroes[512];

	put(name, zeroes, sizeof(zeroes));
}

/* A qcow2 header, version 2, with a backing file (NULL: none) of a format (NULL: to be probed). */
static void put_qcow2(const char *name, const char *backing, const char *format)
{
	uint8_t bytes[2048] = "QFI\xfb\0\0\0\2";
	uint32_t size = htobe32(backing ? strlen(backing) : 0);
	uint32_t type = htobe32(0xe2792aca);
	uint32_t format_size = htobe32(format ? strlen(format) : 0);

	bytes[23] = 16;
	if (format) {
		memcpy(bytes + 72, &type, 4);
		memcpy(bytes + 76, &format_size, 4);
		memcpy(bytes + 80, format, strlen(format));
	}
	if (backing) {
		bytes[14] = 0x01; /* at 256 */
		memcpy(bytes + 16, &size, 4);
		memcpy(bytes + 256, backing, strlen(backing));
	}
	put(name, bytes, sizeof(bytes));
}

static const struct credentials ours;

/* Words as in a shell without quotes. Returns the code; @ret and @err are the caller's. */
static int find(const char *words, struct disks *ret, struct error *err)
{
	const struct disks_params params = { .readonly_locks = true, .credentials = &ours };
	_cleanup_(freep) char *copy = strdup(words);
	char *argv[32] = { "qemu", "-no-user-config" };
	size_t n = 2;
	char *word;

	for (word = strtok(copy, " "); word; word = strtok(NULL, " "))
		argv[n++] = word;
	return disks_from_argv(argv, &params, ret, err);
}

/* "NAME MODE" of each resource, in the order of the names, and the notes' kinds. */
static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *summary(const struct disks *disks)
{
	struct strv lines = { 0 };
	struct str text = { 0 };
	char line[256];
	size_t i;

	for (i = 0; i < disks->set.n; i++) {
		const struct resource *resource = &disks->set.items[i];

		assert_true(str_starts(resource->path, directory));
		snprintf(line, sizeof(line), "%s %s", resource->path + strlen(directory) + 1,
			resource_mode_name(resource->mode));
		assert_int_equal(strv_add(&lines, line), 0);
	}
	if (lines.n)
		qsort(lines.items, lines.n, sizeof(char *), compare_lines);
	for (i = 0; i < lines.n; i++)
		str_printf(&text, "%s%s", i ? ", " : "", lines.items[i]);
	for (i = 0; i < disks->notes.n; i++)
		str_printf(&text, "; %s", disks_note_kind_name(disks->notes.items[i].kind));
	strv_finish(&lines);
	return str_take(&text);
}

static void expect(const char *words, const char *wanted)
{
	_cleanup_(disks_finish) struct disks disks = { 0 };
	_cleanup_(freep) char *text = NULL;
	struct error err = { 0 };

	if (find(words, &disks, &err) < 0)
		fail_msg("%s: %s", words, err.text);
	text = summary(&disks);
	assert_string_equal(text, wanted);
}

static void expect_refusal(const char *words, int status, const char *part)
{
	_cleanup_(disks_finish) struct disks disks = { 0 };
	struct error err = { 0 };

	assert_true(find(words, &disks, &err) < 0);
	assert_int_equal(err.status, status);
	if (!strstr(err.text, part))
		fail_msg("'%s' does not say '%s'", err.text, part);
}

static void backing_files_are_readers(void **state)
{
	(void)state;
	put_raw("base");
	put_qcow2("middle", "base", "raw");
	put_qcow2("top", "middle", NULL);
	expect("top", "base reader, middle reader, top exclusive");
	expect("-drive file=top,readonly=on", "base reader, middle reader, top reader");
	expect("-snapshot top", "base reader, middle reader, top reader");
	expect("-drive file=top,format=raw", "top exclusive");
	expect("-drive file=top,backing=", "top exclusive");
	expect("-drive file=top,backing.driver=raw", "middle reader, top exclusive");
	expect("-drive file=top,backing.file.filename=base", "base reader, top exclusive");
	expect("top -hdb middle", "base reader, middle exclusive, top exclusive");
}

static void each_file_says_where_it_comes_from(void **state)
{
	_cleanup_(disks_finish) struct disks disks = { 0 };
	const struct disk_image *image;
	char origin[256];
	size_t i, seen = 0;

	(void)state;
	put_raw("base");
	put_qcow2("top", "base", "raw");
	assert_int_equal(find("-drive file=top,if=virtio", &disks, NULL), 0);
	snprintf(origin, sizeof(origin), "backing file of %s/top", directory);
	for (i = 0; i < disks.set.n; i++) {
		image = disks_find_image(&disks, &disks.set.items[i]);
		assert_non_null(image);
		if (image->backing) {
			assert_string_equal(disks.set.items[i].origin, origin);
			assert_string_equal(image->format, "raw");
			assert_string_equal(disks.images.items[image->parent].format, "qcow2");
			seen |= 1;
		} else {
			assert_string_equal(disks.set.items[i].origin, "-drive file=top,if=virtio");
			assert_int_equal(image->parent, CHAIN_NO_IMAGE);
			seen |= 2;
		}
	}
	assert_int_equal(seen, 3);
}

static void a_name_relates_to_the_image_that_has_it(void **state)
{
	(void)state;
	assert_int_equal(mkdir("sub", 0755), 0);
	put_raw("sub/base");
	put_raw("base");
	put_raw("x:y");
	put_qcow2("sub/top", "base", "raw");
	put_qcow2("sub/prefix", "file:base", "raw");
	put_qcow2("sub/json", "json:{\"driver\":\"raw\",\"file.filename\":\"base\"}", NULL);
	put_qcow2("colon", "./x:y", "raw");
	assert_int_equal(symlink("sub/top", "link"), 0);
	expect("sub/top", "sub/base reader, sub/top exclusive");
	expect("link", "base reader, link exclusive");
	expect("sub/prefix", "base reader, sub/prefix exclusive");
	expect("sub/json", "base reader, sub/json exclusive");
	expect("colon", "./x:y reader, colon exclusive");
}

static void two_names_of_one_inode_are_one_resource(void **state)
{
	(void)state;
	put_raw("a");
	assert_int_equal(link("a", "b"), 0);
	assert_int_equal(symlink("a", "c"), 0);
	expect("-drive file=a,format=raw,readonly=on -hdb b -hdc c", "a exclusive");
}

static void a_chain_that_leads_back_is_refused(void **state)
{
	(void)state;
	put_qcow2("self", "self", "qcow2");
	put_qcow2("a", "b", "qcow2");
	put_qcow2("b", "c", NULL);
	put_qcow2("c", "a", NULL);
	expect_refusal("self", EX_DATAERR, "lead back");
	expect_refusal("a", EX_DATAERR, "lead back");
	expect_refusal("b", EX_DATAERR, "lead back");
}

static void nodes_that_refer_to_each_other_are_refused(void **state)
{
	(void)state;
	expect_refusal(
		"-blockdev driver=raw,node-name=a,file=b -blockdev driver=raw,node-name=b,file=a",
		EX_DATAERR, "themselves");
	expect_refusal("-blockdev driver=raw,node-name=a,file=a", EX_DATAERR, "themselves");
}

static void an_endless_chain_is_refused(void **state)
{
	char name[32], backing[32];
	int i;

	(void)state;
	put_raw("0");
	for (i = 1; i <= CHAIN_IMAGES_MAX + 1; i++) {
		snprintf(name, sizeof(name), "%d", i);
		snprintf(backing, sizeof(backing), "%d", i - 1);
		put_qcow2(name, backing, NULL);
	}
	snprintf(name, sizeof(name), "%d", CHAIN_IMAGES_MAX + 1);
	expect_refusal(name, EX_DATAERR, "more than 200");
	{
		_cleanup_(disks_finish) struct disks disks = { 0 };

		snprintf(name, sizeof(name), "%d", CHAIN_IMAGES_MAX);
		assert_int_equal(find(name, &disks, NULL), 0);
		assert_int_equal(disks.set.n, CHAIN_IMAGES_MAX + 1);
	}
}

static void a_chain_that_doubles_at_each_step_is_refused(void **state)
{
	char name[32], backing[256];
	int i;

	(void)state;
	put_raw("0");
	for (i = 1; i <= 40; i++) {
		snprintf(name, sizeof(name), "%d", i);
		snprintf(backing, sizeof(backing),
			"json:{\"driver\":\"quorum\",\"children\":[{\"file.filename\":\"%d\"},"
			"{\"file.filename\":\"%d\"}]}",
			i - 1, i - 1);
		put_qcow2(name, backing, NULL);
	}
	expect_refusal("40", EX_DATAERR, "nested too deep");
}

static void what_is_missing_is_named(void **state)
{
	(void)state;
	put_qcow2("top", "gone", "raw");
	expect_refusal("-hda nowhere", EX_NOINPUT, "-hda nowhere: ");
	expect_refusal("top", EX_NOINPUT, "/gone: No such file");
	expect_refusal("top", EX_NOINPUT, "backing file of");
	expect_refusal("top/below", EX_NOINPUT, "Not a directory");
}

static void a_damaged_header_is_refused(void **state)
{
	(void)state;
	put("cut", "QFI\xfb\0\0\0\3", 8);
	expect_refusal("cut", EX_DATAERR, "damaged");
	expect("-drive file=cut,format=raw", "cut exclusive");
}

static void nothing_but_files_and_devices_is_opened(void **state)
{
	(void)state;
	assert_int_equal(mkfifo("fifo", 0644), 0);
	put_qcow2("to-fifo", "fifo", "raw");
	put_qcow2("to-fifo-probed", "fifo", NULL);
	put_qcow2("to-directory", ".", NULL);
	put_qcow2("to-proc", "/proc/self/environ", NULL);
	put_qcow2("to-zero", "/dev/zero", NULL);
	expect_refusal("fifo", EX_DATAERR, "neither a file");
	expect_refusal("to-fifo", EX_DATAERR, "neither a file");
	expect_refusal("to-fifo-probed", EX_DATAERR, "neither a file");
	expect_refusal("to-directory", EX_DATAERR, "directory");
	expect_refusal("to-proc", EX_DATAERR, "kernel");
	expect("to-zero", "to-zero exclusive; unlockable");
}

static void what_cannot_be_locked_is_a_note(void **state)
{
	static const char *const rows[][2] = {
		{ "-drive file=nbd:localhost:1,format=raw", "; network" },
		{ "nbd+unix:///x?socket=y", "; network" },
		{ "-drive driver=rbd,pool=a,image=b", "; network" },
		{ "-blockdev driver=nbd,server.type=unix,server.path=a", "; network" },
		{ "-hda fat:rw:dir", "; unlockable" },
		{ "-drive file=nvme://0000:00:01.0/1,format=raw", "; unlockable" },
		{ "-drive driver=null-co", "" },
		{ "-hda null-co://", "" },
		{ "-hda nonsense:x", "; unknown-driver" },
		{ "-blockdev driver=newest,file.driver=file,file.filename=a",
			"a exclusive; unknown-driver" },
		{ "-hda /dev/fdset/1", "; not-understood" },
		{ "-blockdev driver=raw,file=nobody", "; not-understood" },
		{ "v", "v exclusive; not-understood" },
		{ "-drive file=over-network", "over-network exclusive; network" },
		{ "-drive driver=raw,file.driver=ssh,file.path=x -hdb a", "a exclusive; network" },
	};
	size_t i;

	(void)state;
	put_raw("a");
	put("v", "KDMV\1\0\0\0", 8);
	put_qcow2("over-network", "nbd://host/x", "raw");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		expect(rows[i][0], rows[i][1]);
}

static void sharing_needs_a_raw_image_and_every_device(void **state)
{
	static const char *const rows[][2] = {
		{ "-device x,drive=d,share-rw=on", "a shared" },
		{ "-device x,drive=d,share-rw=on -device y,drive=d,share-rw=on", "a shared" },
		{ "-device x,drive=d,share-rw=on -device y,drive=d", "a exclusive" },
		{ "-device x,drive=d", "a exclusive" },
		{ "-device ide-cd,drive=d", "a reader" },
		{ "", "a exclusive" },
	};
	char words[256];
	size_t i;

	(void)state;
	put_raw("a");
	put_qcow2("q", NULL, NULL);
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		snprintf(words, sizeof(words), "-drive if=none,id=d,file=a,format=raw %s",
			rows[i][0]);
		expect(words, rows[i][1]);
		snprintf(words, sizeof(words), "-drive if=none,id=d,file=a %s", rows[i][0]);
		expect(words, rows[i][1]);
	}
	expect("-drive if=none,id=d,file=q -device x,drive=d,share-rw=on", "q exclusive");
	expect("-drive if=none,id=d,file=q -device ide-cd,drive=d", "q exclusive");
	expect("-drive if=none,id=d,file=q,format=raw -device x,drive=d,share-rw=on", "q shared");
	expect("-drive id=d,file=a -device x,drive=d,share-rw=on", "a exclusive");
	expect("-blockdev driver=file,filename=a,node-name=f -blockdev "
	       "driver=raw,file=f,node-name=d "
	       "-device x,drive=d,share-rw=on",
		"a shared");
	expect("-blockdev driver=file,filename=a,node-name=f -blockdev "
	       "driver=raw,file=f,node-name=d "
	       "-device x,drive=d,share-rw=on -device y,drive=f",
		"a exclusive");
	expect("-blockdev driver=file,filename=q,node-name=f -blockdev "
	       "driver=qcow2,file=f,node-name=d "
	       "-device x,drive=d,share-rw=on",
		"q exclusive");
}

static void read_only_comes_from_the_node_or_from_above(void **state)
{
	static const char *const rows[][2] = {
		{ "driver=raw,read-only=on,file.driver=file,file.filename=a", "a reader" },
		{ "driver=raw,file.driver=file,file.filename=a,file.read-only=on", "a reader" },
		{ "driver=raw,file.driver=file,file.filename=a", "a exclusive" },
		{ "driver=raw,file.driver=file,file.filename=a,auto-read-only=on", "a exclusive" },
		{ "driver=raw,read-only=on,file=f", "a exclusive" },
		{ "driver=raw,read-only=on,file=auto", "a reader" },
		{ "driver=raw,file=auto", "a exclusive" },
		{ "driver=raw,file=read", "a reader" },
		{ "driver=qcow2,file.driver=file,file.filename=q,backing=auto",
			"a reader, q exclusive" },
		{ "driver=qcow2,file.driver=file,file.filename=q,backing=f",
			"a exclusive, q exclusive" },
	};
	static const char *const nodes[][2] = {
		{ "file=f", "-blockdev driver=file,node-name=f,filename=a" },
		{ "backing=f", "-blockdev driver=file,node-name=f,filename=a" },
		{ "=auto", "-blockdev driver=file,node-name=auto,filename=a,auto-read-only=on" },
		{ "=read", "-blockdev driver=file,node-name=read,filename=a,read-only=on" },
	};
	size_t i, j;

	(void)state;
	put_raw("a");
	put_qcow2("q", "nowhere", "raw");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct str words = { 0 };

		str_printf(&words, "-blockdev %s,node-name=top", rows[i][0]);
		for (j = 0; j < sizeof(nodes) / sizeof(*nodes); j++) {
			if (strstr(rows[i][0], nodes[j][0]))
				str_printf(&words, " %s", nodes[j][1]);
		}
		expect(words.text, rows[i][1]);
		str_finish(&words);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(backing_files_are_readers, setup, teardown),
		cmocka_unit_test_setup_teardown(
			each_file_says_where_it_comes_from, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_name_relates_to_the_image_that_has_it, setup, teardown),
		cmocka_unit_test_setup_teardown(
			two_names_of_one_inode_are_one_resource, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_chain_that_leads_back_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nodes_that_refer_to_each_other_are_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(an_endless_chain_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_chain_that_doubles_at_each_step_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(what_is_missing_is_named, setup, teardown),
		cmocka_unit_test_setup_teardown(a_damaged_header_is_refused, setup, teardown),
		cmocka_unit_test_setup_teardown(
			nothing_but_files_and_devices_is_opened, setup, teardown),
		cmocka_unit_test_setup_teardown(what_cannot_be_locked_is_a_note, setup, teardown),
		cmocka_unit_test_setup_teardown(
			sharing_needs_a_raw_image_and_every_device, setup, teardown),
		cmocka_unit_test_setup_teardown(
			read_only_comes_from_the_node_or_from_above, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
