/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fault.h"
#include "fault_each.h"
#include "launcher/vm/rundir_lock.h"
#include "tests/unit/made_up_state.h"
#include "tests/unit/rundir_support.h"

static int claim_it(struct error *err)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	int ret = rundir_open(&rundir, true, err);

	if (ret == 0)
		ret = rundir_claim(&rundir, "web1", err);
	fault_disarm();
	if (ret != 0) {
		assert_int_not_equal(ret, RUNDIR_IN_USE);
		assert_null(rundir.path);
		return ret;
	}
	assert_string_equal(rundir.root, place.path); /* and never another one */
	assert_true(rundir_lock_is_held(rundir.fd));
	assert_int_equal(rundir_lock_pid(rundir.fd), getpid());
	rundir_remove(&rundir);
	return 0;
}

static void a_claim_is_whole_or_refused(void **state)
{
	(void)state;
	assert_true(fault_each(claim_it) > 10);
	assert_false(exists("web1"));
}

static void what_a_dead_vm_left_is_kept_until_its_end_is_on_record(void **state)
{
	bool fired = true;
	unsigned n;

	(void)state;
	for (n = 1; fired; n++) {
		struct error err = { 0 };
		int ret;

		leave_state(0);
		fault_arm(n);
		ret = claim_it(&err);
		fired = fault_disarm();
		if (ret != 0 && exists("web1/" STATE_FILE))
			continue;
		assert_true(exists("web1" RUNDIR_LAST));
		temporary_unlink(&place, "web1" RUNDIR_LAST);
	}
	assert_true(n > 100);
}

static char *socket_path;

static int listen_there(struct error *err)
{
	_cleanup_(closep) int fd = rundir_listen(socket_path, NULL, err);
	socklen_t size = sizeof(int);
	int listening = 0;

	fault_disarm();
	if (fd < 0)
		return fd;
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listening, &size), 0);
	assert_true(listening);
	return 0;
}

static void a_socket_listens_or_an_error_is_told(void **state)
{
	static const char *const names[] = { "s",
		"a-name-that-is-so-long-that-the-whole-path-does-not-fit-into-a-socket-address-"
		"together" };
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		socket_path = temporary_path(&place, names[i]);
		assert_true(fault_each(listen_there) > 3);
		free(socket_path);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_claim_is_whole_or_refused),
		cmocka_unit_test(what_a_dead_vm_left_is_kept_until_its_end_is_on_record),
		cmocka_unit_test(a_socket_listens_or_an_error_is_told),
	};

	fault_watch_jansson();
	return cmocka_run_group_tests(tests, rundir_set_up, rundir_tear_down);
}
