/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "chain_fixture.h"

/* What a name may stand for, and what is said when that is no disk. */

static void put_socket(const char *name)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", name);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
}

static void what_is_missing_is_named(void **state)
{
	(void)state;
	chain_put_qcow2("top", "gone", "raw");
	chain_refuses("-hda nowhere", EX_NOINPUT, "-hda nowhere: ");
	chain_refuses("top", EX_NOINPUT, "/gone: No such file");
	chain_refuses("top", EX_NOINPUT, "backing file of");
	chain_refuses("top/below", EX_NOINPUT, "Not a directory");
}

static void a_damaged_header_is_refused(void **state)
{
	(void)state;
	chain_put("cut", "QFI\xfb\0\0\0\3", 8);
	chain_refuses("cut", EX_DATAERR, "damaged");
	chain_expect("-drive file=cut,format=raw", "cut exclusive");
}

/* Within one read of ours, across its end, behind it. */
static void a_name_is_found_wherever_it_stands(void **state)
{
	static const uint16_t places[] = { 512, 1020, 1024, 2000, 4092, 4096, 6000, 8192 - 4 };
	size_t i;

	(void)state;
	chain_put_raw("base");
	for (i = 0; i < sizeof(places) / sizeof(*places); i++) {
		uint8_t bytes[8192] = "QFI\xfb\0\0\0\2";

		bytes[14] = places[i] >> 8;
		bytes[15] = places[i] & 0xff;
		bytes[19] = strlen("base");
		bytes[23] = 16;
		memcpy(bytes + places[i], "base", strlen("base"));
		chain_put("top", bytes, sizeof(bytes));
		chain_expect("-drive file=top,format=qcow2", "base reader, top exclusive");
		assert_int_equal(unlink("top"), 0);
	}
}

static void nothing_but_files_and_devices_is_followed(void **state)
{
	(void)state;
	assert_int_equal(mkfifo("fifo", 0644), 0);
	put_socket("socket");
	chain_put_qcow2("to-fifo", "fifo", "raw");
	chain_put_qcow2("to-fifo-probed", "fifo", NULL);
	chain_put_qcow2("to-directory", ".", NULL);
	chain_put_qcow2("to-socket", "socket", NULL);
	chain_put_qcow2("to-proc", "/proc/self/environ", NULL);
	chain_refuses("fifo", EX_DATAERR, "a FIFO");
	chain_refuses("to-fifo", EX_DATAERR, "a FIFO");
	chain_refuses("to-fifo-probed", EX_DATAERR, "a FIFO");
	chain_refuses("to-directory", EX_DATAERR, "a directory");
	chain_refuses("socket", EX_DATAERR, "a socket");
	chain_refuses("to-socket", EX_DATAERR, "a socket");
	chain_refuses("to-proc", EX_DATAERR, "kernel");
}

/* The user may; what an image says, a guest may have written. */
static void an_image_cannot_name_descriptors_of_ours(void **state)
{
	char fd[64], up[128];
	const char *const names[] = { fd, "/dev/stdin", "/proc/self/cwd/base", "link", up,
		"/proc/self/exe" };
	int base;
	size_t i;

	(void)state;
	chain_put_raw("base");
	base = open("base", O_RDWR); /* not close-on-exec: QEMU would have it */
	assert_true(base >= 0);
	snprintf(fd, sizeof(fd), "/dev/fd/%d", base);
	snprintf(up, sizeof(up), "../../../../../../dev/fd/%d", base);
	assert_int_equal(symlink("/proc/self/cwd/base", "link"), 0);
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		_cleanup_(disks_finish) struct disks disks = { 0 };
		char words[128];

		chain_put_qcow2("top", names[i], "raw");
		chain_refuses("-hda top", EX_DATAERR, "another file in each process");
		assert_int_equal(unlink("top"), 0);
		if (strcmp(names[i], "/proc/self/cwd/base") != 0 && names[i] != fd)
			continue;
		snprintf(words, sizeof(words), "-drive file=%s,format=raw", names[i]);
		assert_int_equal(chain_find(words, &disks, NULL), 0);
	}
	close(base);
}

/* They are in the set, opened or not: whether they can be locked is the driver's say. */
static void devices_are_left_to_the_driver(void **state)
{
	(void)state;
	/* no driver has these numbers: to open one fails */
	if (mknod("block", S_IFBLK | 0600, makedev(240, 77)) < 0 ||
		mknod("char", S_IFCHR | 0600, makedev(240, 77)) < 0)
		skip();
	chain_put_qcow2("to-block", "block", "qcow2");
	chain_put_qcow2("to-char", "char", NULL);
	chain_expect("block", "block exclusive");
	chain_expect("-drive file=block,format=qcow2", "block exclusive");
	chain_expect("to-block", "block reader, to-block exclusive");
	chain_expect("char", "char exclusive");
	chain_expect("to-char", "char reader, to-char exclusive");
}

/* An absolute name is in the argument already. */
static void a_sentence_names_the_file_once(void **state)
{
	static const char *const rows[][2] = {
		{ "/nowhere/x", "/nowhere/x: No such file or directory" },
		{ "-hda /nowhere/x", "-hda /nowhere/x: No such file or directory" },
		{ "-drive file=/nowhere/x,if=none",
			"-drive file=/nowhere/x,if=none: No such file or directory" },
		{ "-blockdev {\"driver\":\"file\",\"node-name\":\"a\",\"filename\":\"/nowhere/x\"}",
			"/nowhere/x\"}: No such file or directory" },
		{ "-drive file=/nowhere/x,,y", "/nowhere/x,,y: /nowhere/x,y: No such file" },
		{ "/nowhere", "/nowhere: No such file or directory" },
		{ "/tmp", "/tmp: a directory is no disk" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(disks_finish) struct disks disks = { 0 };
		struct error err = { 0 };
		const char *at;

		assert_true(chain_find(rows[i][0], &disks, &err) < 0);
		at = strstr(err.text, rows[i][1]);
		if (!at || (*rows[i][1] == '/' && at > err.text && at[-1] == ' '))
			fail_msg("'%s' is not '%s'", err.text, rows[i][1]);
	}
}

/* QEMU does not need it either. */
static void only_relative_names_need_the_current_directory(void **state)
{
	char words[96];

	(void)state;
	chain_put_raw("base");
	chain_put_qcow2("top", "base", "raw");
	assert_int_equal(mkdir("gone", 0700), 0);
	assert_int_equal(chdir("gone"), 0);
	assert_int_equal(rmdir("../gone"), 0);
	snprintf(words, sizeof(words), "-drive file=%s/top", chain_directory);
	chain_expect(words, "base reader, top exclusive");
	chain_expect("-display none", "");
	chain_refuses("../base", 66, "../base: the current directory: No such file");
}

static size_t count_open(const struct disks *disks)
{
	size_t i, n = 0;

	for (i = 0; i < disks->images.n; i++)
		n += disks->images.items[i].fd >= 0;
	return n;
}

static void so_many_images_stay_open_as_were_asked_for(void **state)
{
	static const struct credentials ours;
	char *argv[] = { "qemu", "-no-user-config", "-hda", "top", "-hdb", "other", NULL };
	size_t keep;

	(void)state;
	chain_put_raw("base");
	chain_put_qcow2("top", "base", NULL);
	chain_put_qcow2("other", NULL, NULL);
	for (keep = 0; keep < 5; keep++) {
		const struct disks_params params = { .credentials = &ours, .keep_open = keep };
		struct disks disks = { 0 };
		struct error err = { 0 };
		struct stat st;
		int fd;

		assert_int_equal(disks_from_argv(argv, &params, &disks, &err), 0);
		assert_int_equal(count_open(&disks), keep < 3 ? keep : 3);
		fd = disks.images.items[0].fd;
		if (keep) {
			assert_int_equal(fstat(fd, &st), 0);
			assert_int_equal(st.st_ino, disks.images.items[0].id.ino);
		}
		disks_finish(&disks);
		assert_true(!keep || fstat(fd, &st) < 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			what_is_missing_is_named, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			a_damaged_header_is_refused, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			a_name_is_found_wherever_it_stands, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			nothing_but_files_and_devices_is_followed, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			an_image_cannot_name_descriptors_of_ours, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			devices_are_left_to_the_driver, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			a_sentence_names_the_file_once, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(only_relative_names_need_the_current_directory,
			chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			so_many_images_stay_open_as_were_asked_for, chain_setup, chain_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
