/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/str.h"
#include "chain_fixture.h"

/* Images that are named by a descriptor, as whoever starts a VM hands them over. */

static int inherit(const char *name, int flags)
{
	int fd = open(name, flags); /* not close-on-exec: the point of it */

	assert_true(fd >= 0);
	return fd;
}

/* The words of @form, where R, W and O are descriptors: for reading, for both, and one of ours. */
static const char *words_fill(const char *form, char *words, size_t size)
{
	static int numbers[3];
	static const char names[] = "RWO";
	const int flags[] = { O_RDONLY, O_RDWR, O_RDWR | O_CLOEXEC };
	struct str text = { 0 };
	const char *name;
	size_t i;

	for (i = 0; i < 3; i++) {
		if (numbers[i] > 0)
			close(numbers[i]);
	}
	for (i = 0; i < 3; i++)
		numbers[i] = inherit("image", flags[i]);
	for (; *form; form++) {
		name = strchr(names, *form);
		if (name)
			str_printf(&text, "%d", numbers[name - names]);
		else
			str_append_bytes(&text, form, 1);
	}
	snprintf(words, size, "%s", text.text);
	str_finish(&text);
	return words;
}

#define BOTH    "-add-fd fd=R,set=2 -add-fd fd=W,set=2 "
#define READING "-add-fd fd=R,set=2,opaque=x "
#define WRITING "--add-fd set=2,fd=W "

static void a_set_is_the_file_of_its_descriptors(void **state)
{
	static const char *const rows[][2] = {
		{ BOTH "-drive file=/dev/fdset/2,format=raw", "image exclusive" },
		{ BOTH "-drive file=/dev/fdset/2,format=raw,readonly=on", "image reader" },
		{ BOTH "-drive file=/dev/fdset/2", "image exclusive" },
		{ BOTH "-blockdev driver=raw,node-name=n,file.driver=file,"
		       "file.filename=/dev/fdset/2",
			"image exclusive" },
		{ READING "-drive file=/dev/fdset/2,format=raw", "image reader" },
		{ WRITING "-drive file=/dev/fdset/2,format=raw", "image exclusive" },
		{ WRITING "-hda /dev/fdset/3", "; not-understood" },
		{ "-hda /dev/fdset/2", "; not-understood" },
		{ WRITING "-drive file=/dev/fdset/+2,format=raw", "image exclusive" },
		{ "-hda /dev/fdset/x", "" },
		{ "-add-fd fd=O,set=2 -hda /dev/fdset/2", "; not-understood" },
		{ "-add-fd fd=1000000,set=2 -hda /dev/fdset/2", "; not-understood" },
		{ "-add-fd set=2", "; not-understood" },
		{ "-add-fd fd=-1,set=2", "; not-understood" },
		{ "-add-fd fd=W,set=0x2 -drive file=/dev/fdset/2,format=raw", "image exclusive" },
	};
	char words[512];
	size_t i;

	(void)state;
	chain_put_raw("image");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		chain_expect(words_fill(rows[i][0], words, sizeof(words)), rows[i][1]);
}

static void a_number_is_a_name_of_the_file(void **state)
{
	static const char *const rows[][2] = {
		{ "-drive file=/dev/fd/W,format=raw", "image exclusive" },
		{ "-drive file=/proc/self/fd/R,format=raw,readonly=on", "image reader" },
		{ "-hda /dev/fd/R", "image exclusive" },
	};
	char words[512];
	size_t i;

	(void)state;
	chain_put_raw("image");
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++)
		chain_expect(words_fill(rows[i][0], words, sizeof(words)), rows[i][1]);
}

static void what_no_other_can_open_is_noted(void **state)
{
	char words[128];
	int fd = memfd_create("image", 0);

	(void)state;
	assert_true(fd >= 0);
	snprintf(words, sizeof(words), "-add-fd fd=%d,set=2 -drive file=/dev/fdset/2,format=raw",
		fd);
	chain_expect(words, "; unlockable");
	close(fd);
	chain_put_raw("gone");
	fd = inherit("gone", O_RDWR);
	unlink("gone");
	snprintf(words, sizeof(words), "-add-fd fd=%d,set=2 -drive file=/dev/fdset/2,format=raw",
		fd);
	chain_expect(words, "; unlockable");
	close(fd);
}

/* QEMU looks for others beside "/dev/fdset/2", and refuses what it does not find. */
static void backing_files_of_a_descriptor_need_whole_names(void **state)
{
	char words[512], whole[256];

	(void)state;
	chain_put_raw("base");
	chain_put_qcow2("image", "base", "raw");
	chain_expect(words_fill(BOTH "-drive file=/dev/fdset/2", words, sizeof(words)),
		"image exclusive");
	unlink("image");
	snprintf(whole, sizeof(whole), "%s/base", chain_directory);
	chain_put_qcow2("image", whole, "raw");
	chain_expect(words_fill(BOTH "-drive file=/dev/fdset/2", words, sizeof(words)),
		"base reader, image exclusive");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_set_is_the_file_of_its_descriptors, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			a_number_is_a_name_of_the_file, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			what_no_other_can_open_is_noted, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(backing_files_of_a_descriptor_need_whole_names,
			chain_setup, chain_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
