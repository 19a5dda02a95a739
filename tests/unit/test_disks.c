/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/disks/disks.h"

/* One directory for all: a raw base and a qcow2 overlay on it. */

static char directory[] = "/tmp/vmlatch-disks-XXXXXX";

static void put(const char *name, const void *bytes, size_t len)
{
	int fd = open(name, O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0644);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, bytes, len), len);
	close(fd);
}

static int setup(void **state)
{
	uint8_t overlay[512] = "QFI\xfb\0\0\0\2";

	(void)state;
	if (!mkdtemp(directory) || chmod(directory, 0755) < 0 || chdir(directory) < 0)
		return -1;
	overlay[23] = 16;
	overlay[14] = 1;
	overlay[19] = 4;
	memcpy(overlay + 256, "base", 4);
	put("overlay", overlay, sizeof(overlay));
	put("base", "raw bytes", 9);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	unlink("overlay");
	unlink("base");
	return chdir("/") < 0 || rmdir(directory) < 0;
}

static const struct credentials ours;

static enum resource_mode mode_of(const struct disks *disks, const char *name)
{
	size_t i;

	for (i = 0; i < disks->set.n; i++) {
		if (str_equal(strrchr(disks->set.items[i].path, '/') + 1, name))
			return disks->set.items[i].mode;
	}
	return -1;
}

static void a_path_brings_its_chain(void **state)
{
	static const enum resource_mode wanted[] = { RESOURCE_READER, RESOURCE_EXCLUSIVE };
	const struct disks_params params = { .readonly_locks = true, .credentials = &ours };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(wanted) / sizeof(*wanted); i++) {
		_cleanup_(disks_finish) struct disks disks = { 0 };

		assert_int_equal(disks_from_path("overlay", wanted[i], &params, &disks, NULL), 0);
		assert_int_equal(disks.set.n, 2);
		assert_int_equal(mode_of(&disks, "overlay"), wanted[i]);
		assert_int_equal(mode_of(&disks, "base"), RESOURCE_READER);
	}
}

static void a_path_may_be_shared_if_it_is_raw(void **state)
{
	const struct disks_params params = { .readonly_locks = true, .credentials = &ours };
	_cleanup_(disks_finish) struct disks raw = { 0 }, qcow2 = { 0 };

	(void)state;
	assert_int_equal(disks_from_path("base", RESOURCE_SHARED, &params, &raw, NULL), 0);
	assert_int_equal(mode_of(&raw, "base"), RESOURCE_SHARED);
	assert_int_equal(disks_from_path("overlay", RESOURCE_SHARED, &params, &qcow2, NULL), 0);
	assert_int_equal(mode_of(&qcow2, "overlay"), RESOURCE_EXCLUSIVE);
}

static void a_path_is_no_protocol(void **state)
{
	const struct disks_params params = { .readonly_locks = true, .credentials = &ours };
	_cleanup_(disks_finish) struct disks disks = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(
		disks_from_path("nbd:x", RESOURCE_EXCLUSIVE, &params, &disks, &err), -ENOENT);
	assert_int_equal(err.status, EX_NOINPUT);
	assert_non_null(strstr(err.text, "/nbd:x: No such file"));
}

static void readers_can_be_left_out(void **state)
{
	const struct disks_params params = { .readonly_locks = false, .credentials = &ours };
	_cleanup_(disks_finish) struct disks disks = { 0 };

	(void)state;
	assert_int_equal(disks_from_path("overlay", RESOURCE_EXCLUSIVE, &params, &disks, NULL), 0);
	assert_int_equal(disks.set.n, 1);
	assert_int_equal(mode_of(&disks, "overlay"), RESOURCE_EXCLUSIVE);
	assert_int_equal(disks.images.n, 2); /* looked at all the same */
}

static void nothing_is_given_back_after_a_failure(void **state)
{
	const struct disks_params params = { .readonly_locks = true, .credentials = &ours };
	char *argv[] = { "qemu", "overlay", "-hdb", "nowhere", NULL };
	struct disks disks = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(disks_from_argv(argv, &params, &disks, &err), -ENOENT);
	assert_int_equal(disks.set.n, 0);
	assert_null(disks.images.items);
	assert_null(disks.notes.items);
}

/* The user 'nobody', whose rights count from here on. */
static const struct credentials nobody = { .change = true, .uid = 65534, .gid = 65534 };

static void what_qemus_user_may_not_read_is_not_read(void **state)
{
	const struct disks_params params = { .readonly_locks = true, .credentials = &nobody };
	char *argv[] = { "qemu", "-no-user-config", "overlay", NULL };
	struct disks disks = { 0 };
	struct error err = { 0 };

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod("base", 0600), 0);
	assert_int_equal(disks_from_argv(argv, &params, &disks, &err), -EACCES);
	assert_int_equal(err.status, EX_NOPERM);
	assert_non_null(strstr(err.text, "base: Permission denied"));
	assert_int_equal(access("base", R_OK), 0); /* our own rights are back */
	assert_int_equal(chmod("base", 0644), 0);
}

/* Firmware: QEMU takes a -drive read-only by itself where it may not write. */
static void what_qemus_user_may_not_write_is_only_read(void **state)
{
	const struct disks_params params = { .readonly_locks = true, .credentials = &nobody };
	char *drive[] = { "qemu", "-pflash", "base", NULL };
	char *node[] = { "qemu", "-blockdev", "driver=file,filename=base,node-name=b", NULL };
	_cleanup_(disks_finish) struct disks a = { 0 }, b = { 0 }, c = { 0 };

	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(disks_from_argv(drive, &params, &a, NULL), 0);
	assert_int_equal(mode_of(&a, "base"), RESOURCE_READER);
	assert_int_equal(disks_from_argv(node, &params, &b, NULL), 0);
	assert_int_equal(mode_of(&b, "base"), RESOURCE_EXCLUSIVE);
	assert_int_equal(chmod("base", 0666), 0);
	assert_int_equal(disks_from_argv(drive, &params, &c, NULL), 0);
	assert_int_equal(mode_of(&c, "base"), RESOURCE_EXCLUSIVE);
	assert_int_equal(chmod("base", 0644), 0);
}

static void the_command_lines_notes_come_first(void **state)
{
	const struct disks_params params = { .readonly_locks = true, .credentials = &ours };
	char *argv[] = { "qemu", "-no-user-config", "-hda", "nbd:x:1", "-no-such-option", NULL };
	_cleanup_(disks_finish) struct disks disks = { 0 };

	(void)state;
	assert_int_equal(disks_from_argv(argv, &params, &disks, NULL), 0);
	assert_int_equal(disks.notes.n, 2);
	assert_int_equal(disks.notes.items[0].kind, DISKS_NOTE_NOT_UNDERSTOOD);
	assert_string_equal(
		disks.notes.items[0].text, "-no-such-option: an option that vmlatch does not know");
	assert_int_equal(disks.notes.items[1].kind, DISKS_NOTE_NETWORK);
	assert_int_equal(disks.line.notes.n, 0);
}

static void a_missing_image_is_a_note_if_that_is_wanted(void **state)
{
	const struct disks_params params = {
		.readonly_locks = true, .credentials = &ours, .note_missing = true
	};
	char *argv[] = { "qemu", "-no-user-config", "-hda", "/no/such/image", NULL };
	_cleanup_(disks_finish) struct disks disks = { 0 };

	(void)state;
	assert_int_equal(disks_from_argv(argv, &params, &disks, NULL), 0);
	assert_int_equal(disks.set.n, 0);
	assert_int_equal(disks.notes.n, 1);
	assert_int_equal(disks.notes.items[0].kind, DISKS_NOTE_MISSING);
	assert_string_equal(disks.notes.items[0].text,
		"-hda /no/such/image: /no/such/image: No such file or directory");
	assert_false(disks.relative);
}

static void a_relative_name_is_told(void **state)
{
	const struct disks_params params = { .credentials = &ours, .note_missing = true };
	char *argv[] = { "qemu", "-no-user-config", "-hda", "no-such-image", NULL };
	_cleanup_(disks_finish) struct disks disks = { 0 };

	(void)state;
	assert_int_equal(disks_from_argv(argv, &params, &disks, NULL), 0);
	assert_true(disks.relative);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_brings_its_chain),
		cmocka_unit_test(a_path_may_be_shared_if_it_is_raw),
		cmocka_unit_test(a_path_is_no_protocol),
		cmocka_unit_test(readers_can_be_left_out),
		cmocka_unit_test(nothing_is_given_back_after_a_failure),
		cmocka_unit_test(what_qemus_user_may_not_read_is_not_read),
		cmocka_unit_test(what_qemus_user_may_not_write_is_only_read),
		cmocka_unit_test(the_command_lines_notes_come_first),
		cmocka_unit_test(a_missing_image_is_a_note_if_that_is_wanted),
		cmocka_unit_test(a_relative_name_is_told),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
