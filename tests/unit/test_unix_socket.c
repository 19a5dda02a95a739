/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/unix_socket.h"
#include "tests/unit/fault.h"
#include "tests/unit/rundir_support.h"

static void a_socket_is_private_and_its_path_may_be_long(void **state)
{
	_cleanup_(closep) int listening = -1;
	_cleanup_(closep) int connected = -1;
	_cleanup_(freep) char *path = NULL;
	struct error err = { 0 };
	struct stat info;
	char name[128];

	(void)state;
	memset(name, 'd', 100);
	snprintf(name + 100, 28, "/x");
	temporary_write(&place, name, "");
	snprintf(name + 100, 28, "/qmp.sock");
	path = temporary_path(&place, name);
	assert_true(strlen(path) > 108);
	listening = rundir_listen(path, NULL, &err);
	if (listening < 0)
		fail_msg("%s", err.text);
	assert_int_equal(stat(path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	assert_true(fcntl(listening, F_GETFD) & FD_CLOEXEC);
	connected = unix_socket_connect(path, &err);
	assert_true(connected >= 0);
	assert_int_equal(rundir_listen(path, NULL, &err), -EADDRINUSE); /* it lives */
	closep(&listening);
	listening = rundir_listen(path, NULL, &err); /* it is dead: replaced */
	assert_true(listening >= 0);
}

static void a_file_in_the_way_of_a_socket_stays(void **state)
{
	_cleanup_(freep) char *path = temporary_path(&place, "q");
	struct error err = { 0 };

	(void)state;
	temporary_write(&place, "q", "mine");
	assert_int_equal(rundir_listen(path, NULL, &err), -EADDRINUSE);
	assert_int_equal(err.status, EX_CANTCREAT);
	assert_true(exists("q"));
}

static void only_what_was_made_is_removed(void **state)
{
	_cleanup_(freep) char *path = temporary_path(&place, "q");
	_cleanup_(closep) int ours = -1;
	_cleanup_(closep) int theirs = -1;
	struct unix_socket_file made = { 0 }, other = { 0 };
	struct error err = { 0 };

	(void)state;
	ours = unix_socket_listen(path, &made, &err);
	assert_true(ours >= 0);
	unix_socket_remove(path, &other); /* nothing was made */
	assert_true(exists("q"));
	assert_int_equal(unlink(path), 0);
	theirs = unix_socket_listen(path, &other, &err);
	assert_true(theirs >= 0);
	unix_socket_remove(path, &made);
	assert_true(exists("q"));
	unix_socket_remove(path, &other);
	assert_false(exists("q"));
	unix_socket_remove(path, &other); /* and once more does no harm */
}

/* Two who start at once. The second begins before the first one's call of that name. */
static struct {
	pthread_t thread;
	const char *path;
	int listening;
	atomic_bool ended;
} second;

static void *second_listens(void *unused)
{
	(void)unused;
	second.listening = unix_socket_listen(second.path, NULL, NULL);
	second.ended = true;
	return NULL;
}

/* It is let go on as far as it comes; where it has to wait for us, that is no end. */
static void second_starts(void)
{
	int64_t deadline = clock_monotonic_ms() + 200;

	assert_int_equal(pthread_create(&second.thread, NULL, second_listens, NULL), 0);
	while (!second.ended && clock_monotonic_ms() < deadline)
		clock_sleep_ms(1);
}

static void of_two_at_once_one_gets_it_and_keeps_it(void **state)
{
	static const char *const before[] = { "socket", "bind", "listen" };
	_cleanup_(freep) char *path = temporary_path(&place, "q");
	struct error err = { 0 };
	int ours, connected;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		closep(&(int){ unix_socket_listen(path, NULL, &err) }); /* of the dead */
		assert_true(exists("q"));
		second.path = path;
		second.ended = false;
		fault_before(before[i], 0, second_starts);
		ours = unix_socket_listen(path, NULL, &err);
		fault_always(NULL, 0);
		assert_int_equal(pthread_join(second.thread, NULL), 0);
		assert_int_equal(ours < 0 ? ours : second.listening, -EADDRINUSE);
		assert_int_equal((ours >= 0) + (second.listening >= 0), 1);
		connected = unix_socket_connect(path, &err);
		assert_true(connected >= 0);
		close(connected);
		close(ours >= 0 ? ours : second.listening);
	}
}

static void who_keeps_the_directory_locked_hinders_nobody(void **state)
{
	_cleanup_(freep) char *path = temporary_path(&place, "q");
	_cleanup_(freep) char *dir = temporary_path(&place, ".");
	_cleanup_(closep) int locked = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closep) int ours = -1;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(flock(locked, LOCK_EX), 0);
	ours = unix_socket_listen(path, NULL, &err);
	assert_true(ours >= 0);
}

/* Two directories, and a link to the first that somebody turns to the second. */
static char *link_path, *second_path;

static void link_is_turned(void)
{
	char next[256];

	snprintf(next, sizeof(next), "%s.next", link_path);
	assert_int_equal(symlink(second_path, next), 0);
	assert_int_equal(rename(next, link_path), 0);
}

static void a_directory_that_is_replaced_gets_nothing_and_loses_nothing(void **state)
{
	static const char *const before[] = { "socket", "bind" };
	_cleanup_(freep) char *path = temporary_path(&place, "link/q");
	_cleanup_(freep) char *first = temporary_path(&place, "first");
	struct error err = { 0 };
	size_t i;

	(void)state;
	link_path = temporary_path(&place, "link");
	second_path = temporary_path(&place, "second");
	temporary_write(&place, "first/other", "");
	for (i = 0; i < sizeof(before) / sizeof(before[0]); i++) {
		unlink(link_path);
		assert_int_equal(symlink(first, link_path), 0);
		closep(&(int){ unix_socket_listen(path, NULL, &err) }); /* of the dead */
		assert_true(exists("first/q"));
		if (i == 0)
			temporary_write(&place, "second/q", "somebody's");
		else
			temporary_unlink(&place, "second/q");
		fault_before(before[i], 0, link_is_turned);
		assert_true(unix_socket_listen(path, NULL, &err) < 0);
		fault_always(NULL, 0);
		if (i == 0)
			assert_true(exists("second/q"));
	}
	free(link_path);
	free(second_path);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rundir_set_up, rundir_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_socket_is_private_and_its_path_may_be_long),
		TEST(a_file_in_the_way_of_a_socket_stays),
		TEST(only_what_was_made_is_removed),
		TEST(of_two_at_once_one_gets_it_and_keeps_it),
		TEST(who_keeps_the_directory_locked_hinders_nobody),
		TEST(a_directory_that_is_replaced_gets_nothing_and_loses_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
