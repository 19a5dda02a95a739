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
#include <sys/xattr.h>
#include <unistd.h>

#include "fault.h"
#include "file_helpers.h"
#include "locking/drivers.h"

static void an_armed_image_says_who_has_it(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("web 1", path, RESOURCE_EXCLUSIVE);
	char words[64];

	(void)state;
	snprintf(words, sizeof(words), " pid=%d ", getpid());
	assert_true(record_says(path, " gen=1 "));
	assert_true(record_says(path, " held=1 "));
	assert_true(record_says(path, " host=testhost vm=web\\x201"));
	assert_true(record_says(path, words));
	assert_true(status_of(lock, path).recorded);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_true(record_says(path, " gen=1 "));
	assert_true(record_says(path, " held=0 "));
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_true(record_says(path, " gen=1 ")); /* taken is not used */
	assert_int_equal(lock_manager_arm(lock, NULL), 0);
	assert_true(record_says(path, " gen=2 "));
	lock_manager_free(lock);
}

static void a_held_image_can_be_another_processs(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("web", path, RESOURCE_EXCLUSIVE);

	(void)state;
	lock_manager_set_owner_pid(lock, 4711, 42);
	assert_true(record_says(path, " pid=4711 "));
	assert_true(record_says(path, " gen=1 "));
	assert_true(record_says(path, " held=1 "));
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_true(record_says(path, " pid=4711 "));
	assert_true(record_says(path, " held=0 "));
	lock_manager_free(lock);
}

static void only_exclusive_users_write_records(void **state)
{
	const char *path = fixture_image("a");

	(void)state;
	lock_manager_free(held_lock("a", path, RESOURCE_READER));
	lock_manager_free(held_lock("a", path, RESOURCE_SHARED));
	assert_string_equal(record_of(path), "");
}

static void damaged_and_copied_records_are_not_believed(void **state)
{
	const char *path = fixture_image("a"), *copy = fixture_image("b");
	struct lock_view view;
	char text[4096];

	(void)state;
	lock_manager_free(held_lock("a", path, RESOURCE_EXCLUSIVE));
	strcpy(text, record_of(path));
	assert_int_equal(setxattr(copy, ATTRIBUTE, text, strlen(text), 0), 0);
	assert_int_equal(lock_manager_look(&lock_driver_file, copy, &view, NULL), 0);
	assert_true(view.generation == 0 && view.recordable && view.lockable && !view.held);
	assert_int_equal(setxattr(path, ATTRIBUTE, "\x1b[2J", 4, 0), 0);
	assert_int_equal(lock_manager_look(&lock_driver_file, path, &view, NULL), 0);
	assert_true(view.generation == 0);
	lock_manager_free(held_lock("a", path, RESOURCE_EXCLUSIVE));
	assert_true(record_says(path, "vmlatch 1 gen=1 "));
	memset(text, 'x', sizeof(text));
	if (setxattr(path, ATTRIBUTE, text, 3900, 0) == 0) {
		lock_manager_free(held_lock("a", path, RESOURCE_EXCLUSIVE));
		assert_true(record_says(path, "vmlatch 1 gen=1 "));
	}
}

/* Its first sector is the guest's to write. */
static void what_an_image_contains_is_no_record_of_it(void **state)
{
	const char *path = fixture_image("a");
	const struct resource disk = fixture_resource(path, RESOURCE_EXCLUSIVE);
	struct lock_look look = { .resource = &disk };
	struct lock_view view;
	char text[4096];

	(void)state;
	lock_manager_free(held_lock("a", path, RESOURCE_EXCLUSIVE));
	strcpy(text, record_of(path));
	assert_int_equal(removexattr(path, ATTRIBUTE), 0);
	look.fd = open(path, O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(look.fd, text, strlen(text) + 1, 0), strlen(text) + 1);
	assert_int_equal(truncate(path, strlen(text)), 0);
	assert_int_equal(lock_manager_look(&lock_driver_file, path, &view, NULL), 0);
	assert_int_equal(view.generation, 1); /* as of a lock file */
	assert_int_equal(lock_manager_look_at(&lock_driver_file, &look, &view, NULL), 0);
	assert_true(view.generation == 0 && view.recordable && view.lockable);
	close(look.fd);
}

static void where_no_record_can_be_kept_the_stamp_has_to_do(void **state)
{
	const char *path = fixture_image("a");
	struct error err = { 0 };
	struct lock *lock;
	char *text;

	(void)state;
	fault_always("fsetxattr", ENOSPC);
	lock = held_lock("a", path, RESOURCE_EXCLUSIVE);
	assert_true(status_of(lock, path).held);
	assert_false(status_of(lock, path).recorded);
	text = saved_of(lock);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), 0);
	fixture_write(path);
	assert_int_equal(lock_manager_verify(lock, text, &err), LOCK_STALE);
	assert_non_null(strstr(err.text, "written without vmlatch"));
	fault_always(NULL, 0);
	free(text);
	lock_manager_free(lock);
}

static void an_old_record_that_cannot_be_replaced_is_removed_or_nothing_runs(void **state)
{
	const char *path = fixture_image("a");
	struct lock *first = held_lock("a", path, RESOURCE_EXCLUSIVE), *lock = new_lock("b");
	char *text = saved_of(first), record[4096];
	struct error err = { 0 };

	(void)state;
	strcpy(record, record_of(path));
	assert_int_equal(lock_manager_release(first, NULL, NULL), 0);
	add(lock, path, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	fault_always("fsetxattr", ENOSPC);
	assert_int_equal(lock_manager_arm(lock, NULL), 0);
	assert_string_equal(record_of(path), "");
	assert_false(status_of(lock, path).recorded);
	fault_always(NULL, 0);
	lock_manager_free(lock);
	/* and the first one notices */
	assert_int_equal(lock_manager_acquire(first, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(first, text, &err), LOCK_STALE);
	assert_non_null(strstr(err.text, "its record is gone"));
	free(text);
	lock_manager_free(first);
}

static void nothing_is_armed_over_a_record_that_stays(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = new_lock("b");
	struct error err = { 0 };

	(void)state;
	lock_manager_free(held_lock("a", path, RESOURCE_EXCLUSIVE));
	add(lock, path, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	fault_always("fsetxattr", EPERM);
	fault_always("fremovexattr", EPERM);
	assert_int_equal(lock_manager_arm(lock, &err), -EPERM);
	fault_always(NULL, 0);
	assert_ptr_equal(strstr(err.text, path), err.text);
	assert_non_null(strstr(err.text, "neither replaced nor removed"));
	assert_true(record_says(path, " gen=1 "));
	lock_manager_free(lock);
}

#define in_fixture(test) \
	cmocka_unit_test_setup_teardown(test, lock_fixture_setup, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_fixture(an_armed_image_says_who_has_it),
		in_fixture(a_held_image_can_be_another_processs),
		in_fixture(only_exclusive_users_write_records),
		in_fixture(damaged_and_copied_records_are_not_believed),
		in_fixture(what_an_image_contains_is_no_record_of_it),
		in_fixture(where_no_record_can_be_kept_the_stamp_has_to_do),
		in_fixture(an_old_record_that_cannot_be_replaced_is_removed_or_nothing_runs),
		in_fixture(nothing_is_armed_over_a_record_that_stays),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
