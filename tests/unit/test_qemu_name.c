/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "launcher/vm/block_nodes.h"
#include "launcher/vm/qemu_name.h"
#include "temporary.h"

/* Names of a process's own things: "QEMU" has another file under that number than we. */

static struct temporary dir;
static char *disk, *other;
static int fd = -1, also = -1;
static pid_t qemu;

/* It has our file, too, under another number. */
static int qemu_start(void)
{
	int ready[2];
	char byte = 0;

	if (pipe(ready) < 0)
		return -1;
	qemu = fork();
	if (qemu == 0) {
		if (dup2(open(other, O_RDWR), fd) < 0 || write(ready[1], &byte, 1) < 0)
			_exit(1);
		pause();
		_exit(0);
	}
	close(ready[1]);
	if (qemu > 0 && read(ready[0], &byte, 1) != 1)
		byte = 1;
	close(ready[0]);
	return qemu > 0 && byte == 0 ? 0 : -1;
}

static int set_up(void **state)
{
	(void)state;
	if (temporary_make(&dir) < 0)
		return -1;
	temporary_write(&dir, "disk.raw", "contents");
	temporary_write(&dir, "other.raw", "contents");
	disk = temporary_path(&dir, "disk.raw");
	other = temporary_path(&dir, "other.raw");
	fd = open(disk, O_RDWR | O_CLOEXEC);
	also = dup(fd);
	return fd < 0 || also < 0 ? -1 : qemu_start();
}

static int tear_down(void **state)
{
	(void)state;
	if (qemu > 0) {
		kill(qemu, SIGKILL);
		waitpid(qemu, NULL, 0);
	}
	close(also);
	close(fd);
	free(disk);
	free(other);
	temporary_remove(&dir);
	return 0;
}

static void names_of_qemus_own_things_are_not_ours(void **state)
{
	static const char *const forms[] = { "/dev/fd/%d", "/proc/self/fd/%d",
		"/proc/thread-self/fd/%d" };
	struct stat info, wanted;
	char name[64];
	size_t i;

	(void)state;
	assert_int_equal(stat(other, &wanted), 0);
	for (i = 0; i < 3; i++) {
		snprintf(name, sizeof(name), forms[i], fd);
		assert_true(qemu_name_is_own(name));
		assert_int_equal(qemu_name_stat(qemu, name, &info), 0);
		assert_int_equal(info.st_ino, wanted.st_ino);
	}
	assert_false(qemu_name_is_own(disk));
	assert_false(qemu_name_is_own("dev/fd/3"));
}

static void nor_are_those_of_a_qemu_that_has_left_its_directory(void **state)
{
	struct resource_set locked = { 0 }, missing = { 0 };
	struct strv problems = { 0 };
	char name[64];
	struct block_nodes_query query = {
		.pid = qemu,
		.directory = dir.path,
		.locked = &locked,
	};

	(void)state;
	snprintf(name, sizeof(name), "/dev/fd/%d", fd);
	query.nodes = json_pack("[{s:s, s:s, s:s, s:b}]", "node-name", "node0", "drv", "file",
		"file", name, "ro", 0);
	assert_int_equal(block_nodes_missing(&query, &missing, &problems, NULL), 0);
	assert_int_equal(missing.n, 1);
	assert_string_equal(missing.items[0].path, other);
	resource_set_finish(&missing);
	strv_finish(&problems);
	json_decref(query.nodes);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_of_qemus_own_things_are_not_ours),
		TEST(nor_are_those_of_a_qemu_that_has_left_its_directory),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
