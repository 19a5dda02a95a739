/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/fd.h"
#include "domain_helpers.h"
#include "locking/file_lock.h"

/* The child's part of a start: locks, hands over, and lives as QEMU until it is told to die. */
static int child_start(struct domain_lock *domain, int socket)
{
	struct domain_lock_start start = { .pid = getpid() };
	struct lock_descriptor *all;
	int fds[16], ret;
	char *text;
	size_t n, i;

	if (domain_lock_process_start(domain, &start, NULL, NULL) != 0 ||
		domain_lock_process_inquire(domain, &text, NULL) < 0 ||
		domain_lock_descriptors(domain, &all, &n, NULL) < 0)
		return 1;
	for (i = 0; i < n; i++)
		fds[i] = all[i].fd;
	ret = fd_send(socket, text, strlen(text) + 1, fds, n);
	for (i = 0; i < n; i++) {
		if (!all[i].inherit)
			close(all[i].fd);
	}
	return ret < 0 || read(socket, fds, 1) != 0;
}

static void the_supervisor_takes_over_what_the_child_has_locked(void **state)
{
	char writable[128], base[128], text[4096];
	struct domain_lock *domain = new_domain("file", "a");
	struct domain_lock_start start = { 0 };
	size_t n = 16, before = fixture_count_fds();
	struct resource image;
	int pair[2], fds[16];

	(void)state;
	strcpy(writable, fixture_image("1"));
	strcpy(base, fixture_image("2"));
	assert_int_equal(attach(domain, writable, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(attach(domain, base, RESOURCE_READER, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	start.pid = fork();
	if (start.pid == 0) {
		close(pair[0]);
		_exit(child_start(domain, pair[1]));
	}
	close(pair[1]);
	assert_true(fd_receive(pair[0], text, sizeof(text), fds, &n) > 0);
	assert_int_equal(n, 4);
	assert_int_equal(domain_lock_adopt(domain, &start, fds, n - 1, text, NULL), -EINVAL);
	assert_int_equal(domain_lock_adopt(domain, &start, fds + 2, 2, text, NULL), -EINVAL);
	assert_int_equal(domain_lock_adopt(domain, &start, fds, n, "nonsense", NULL), -EINVAL);
	assert_int_equal(domain_lock_adopt(domain, &start, fds, n, text, NULL), 0);
	assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_HELD);
	assert_int_equal(domain_lock_verify(domain, NULL), 0);
	assert_int_equal(domain_lock_resources(domain)->n, 2);

	/* it unlocks and relocks for QEMU too */
	assert_int_equal(pause_domain(domain), 0);
	assert_int_equal(resume_domain(domain, NULL), 0);
	assert_int_equal(pause_domain(domain), 0);
	assert_true(is_free(writable));
	assert_int_equal(domain_lock_process_resume(domain, true, NULL, NULL), 0);

	/* QEMU's death alone frees nothing */
	close(pair[0]);
	waitpid(start.pid, NULL, 0);
	assert_int_equal(try_hold(writable), LOCK_BUSY);
	image = fixture_resource(writable, RESOURCE_EXCLUSIVE);
	assert_true(domain_first_fd_of(domain, &image) >= 0);
	assert_int_equal(domain_lock_lost_fd(domain), -1);
	domain_lock_free(domain);
	assert_int_equal(fixture_count_fds(), before);
	assert_true(is_free(writable));
}

static void the_death_of_the_supervisor_frees_nothing(void **state)
{
	char path[128], text[4096];
	struct domain_lock *domain = new_domain("file", "a");
	struct domain_lock_start start = { 0 };
	int pair[2], fds[16];
	size_t n = 16;

	(void)state;
	strcpy(path, fixture_image("1"));
	assert_int_equal(attach(domain, path, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	start.pid = fork();
	if (start.pid == 0) {
		close(pair[0]);
		_exit(child_start(domain, pair[1]));
	}
	close(pair[1]);
	assert_true(fd_receive(pair[0], text, sizeof(text), fds, &n) > 0);
	assert_int_equal(domain_lock_adopt(domain, &start, fds, n, text, NULL), 0);
	domain_lock_free(domain);
	assert_int_equal(try_hold(path), LOCK_BUSY);
	kill(start.pid, SIGKILL);
	waitpid(start.pid, NULL, 0);
	assert_true(is_free(path));
	close(pair[0]);
}

static void a_killed_holder_frees_the_disk(void **state)
{
	const char *path = fixture_image("a");
	struct peer peer;
	int round;

	(void)state;
	for (round = 0; round < 20; round++) {
		peer = peer_start("file", "a", path, RESOURCE_EXCLUSIVE);
		assert_int_equal(peer.result, 0);
		peer_kill(&peer);
	}
}

static void lost_locks_are_noticed(void **state)
{
	const char *path = fixture_image("a");
	struct domain_lock *domain = running("file", "a", path);
	struct resource image = fixture_resource(path, RESOURCE_EXCLUSIVE);
	struct lock_status status;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(domain_lock_resource_status(domain, &image, &status), 0);
	assert_true(status.held && status.recorded && !status.skipped && !status.moved);
	assert_int_equal(file_lock_drop(domain_first_fd_of(domain, &image), FILE_LINE_LIFE,
				 FILE_USE_EXCLUSIVE),
		0);
	assert_int_equal(domain_lock_verify(domain, &err), LOCK_LOST);
	assert_non_null(strstr(err.text, path));
	domain_lock_free(domain);
}

#define in_fixture(test) \
	cmocka_unit_test_setup_teardown(test, lock_fixture_setup, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_fixture(the_supervisor_takes_over_what_the_child_has_locked),
		in_fixture(the_death_of_the_supervisor_frees_nothing),
		in_fixture(a_killed_holder_frees_the_disk),
		in_fixture(lost_locks_are_noticed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
