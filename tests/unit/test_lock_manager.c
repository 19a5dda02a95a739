/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "lock_fixture.h"
#include "locking/lock_manager.h"

static void an_unknown_driver_is_not_found(void **state)
{
	(void)state;
	assert_null(lock_manager_find("sanlock"));
	assert_null(lock_manager_find("fil"));
	assert_null(lock_manager_find(""));
}

static void the_nop_driver_accepts_everything_and_holds_nothing(void **state)
{
	struct lock_params params = { .owner.vm = "a" };
	struct resource disk = { .kind = RESOURCE_DISK, .path = "/dev/null" };
	struct resource lease = { .kind = RESOURCE_LEASE, .path = "space:key" };
	struct lock_descriptor *fds;
	struct lock_status status;
	struct lock_view view;
	struct lock *lock;
	size_t n = 7;
	char *text;

	(void)state;
	assert_int_equal(lock_manager_new(lock_manager_find("nop"), &params, &lock, NULL), 0);
	assert_int_equal(lock_manager_add_resource(lock, &disk, NULL), 0);
	assert_int_equal(lock_manager_add_resource(lock, &lease, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, LOCK_REGISTER_ONLY, NULL, NULL), 0);
	assert_int_equal(lock_manager_status(lock, &disk, &status), 0);
	assert_false(status.held);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_status(lock, &lease, &status), 0);
	assert_true(status.held && status.skipped && !status.recorded);
	assert_int_equal(lock_manager_arm(lock, NULL), 0);
	assert_int_equal(lock_manager_inquire(lock, &text, NULL), 0);
	assert_string_equal(text, "nop/1 lease,reader,skipped,0:0,0,-,-,space:key "
				  "disk,reader,skipped,0:0,0,-,-,/dev/null");
	assert_int_equal(lock_manager_verify(lock, text, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, "file/1", NULL), -22);
	assert_int_equal(lock_manager_descriptors(lock, &fds, &n, NULL), 0);
	assert_int_equal(n, 0);
	assert_int_equal(first_fd_of(lock, &disk), -1);
	assert_int_equal(lock_manager_lost_fd(lock), -1);
	assert_int_equal(lock_manager_adopt(lock, NULL, 0, text, NULL), 0);
	assert_int_equal(lock_manager_adopt(lock, NULL, 1, text, NULL), -22);
	assert_int_equal(lock_manager_release(lock, &lease, NULL), 0);
	assert_true(lock_manager_status(lock, &lease, &status) < 0);
	assert_int_equal(lock_manager_look(lock->driver, "/dev/null", &view, NULL), 0);
	assert_false(view.held);
	assert_true(lock_manager_look(lock->driver, "/nowhere/x", &view, NULL) < 0);
	free(text);
	free(fds);
	lock_manager_free(lock);
	lock_manager_free(NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_unknown_driver_is_not_found),
		cmocka_unit_test(the_nop_driver_accepts_everything_and_holds_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
