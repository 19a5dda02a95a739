/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "file_helpers.h"
#include "locking/drivers.h"

static void a_generation_that_moved_is_stale_and_names_the_user(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("a", path, RESOURCE_EXCLUSIVE), *other;
	char *text = saved_of(lock);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	other = held_lock("b", path, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_release(other, NULL, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, &err), LOCK_STALE);
	assert_non_null(strstr(err.text, path));
	assert_non_null(strstr(err.text, "used by VM 'b' (host testhost"));
	assert_non_null(strstr(err.text, "vmlatch resume --force-stale"));
	free(text);
	lock_manager_free(lock);
	lock_manager_free(other);
}

static void everyday_life_is_not_stale(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("a", path, RESOURCE_EXCLUSIVE), *reader, *refused;
	char *text = saved_of(lock);
	struct lock_view view;

	(void)state;
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	reader = held_lock("r", path, RESOURCE_READER);
	refused = new_lock("b");
	add(refused, path, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(refused, 0, NULL, NULL), LOCK_BUSY);
	assert_int_equal(lock_manager_release(reader, NULL, NULL), 0);
	/* taken, but given back before the guest could run */
	assert_int_equal(lock_manager_acquire(refused, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_release(refused, NULL, NULL), 0);
	assert_int_equal(lock_manager_look(&lock_driver_file, path, &view, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), 0);
	free(text);
	lock_manager_free(lock);
	lock_manager_free(reader);
	lock_manager_free(refused);
}

/* The file system's clock is coarse: two writes within one tick have the same mtime. */
static void a_write_right_after_the_release_is_seen(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("a", path, RESOURCE_EXCLUSIVE);
	int fd = open(path, O_RDWR), unseen = 0, i;
	char *text;

	(void)state;
	for (i = 0; i < 50; i++) {
		assert_int_equal(pwrite(fd, "guest", 5, 0), 5);
		text = saved_of(lock);
		assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
		assert_int_equal(pwrite(fd, "other", 5, 0), 5);
		assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
		unseen += lock_manager_verify(lock, text, NULL) == 0;
		free(text);
	}
	assert_int_equal(unseen, 0);
	close(fd);
	lock_manager_free(lock);
}

/* As a file system stamps it that keeps every other second only. */
static void a_release_waits_until_the_next_write_has_another_time(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("a", path, RESOURCE_EXCLUSIVE);
	struct timespec now, times[2] = { { 0 } };
	struct stat info;

	(void)state;
	clock_gettime(CLOCK_REALTIME, &now);
	times[0].tv_sec = times[1].tv_sec = now.tv_sec;
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(stat(path, &info), 0);
	clock_gettime(CLOCK_REALTIME, &now);
	assert_in_range(now.tv_sec - info.st_mtim.tv_sec, 2, 3);
	lock_manager_free(lock);
}

static void room_that_was_made_is_not_stale(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("a", path, RESOURCE_EXCLUSIVE);
	char *text = saved_of(lock);
	struct timespec times[2];
	struct stat info;

	(void)state;
	stat(path, &info);
	times[0] = info.st_atim;
	times[1] = info.st_mtim;
	assert_int_equal(truncate(path, 1 << 20), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), 0);
	assert_int_equal(truncate(path, 4096), 0);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), LOCK_STALE);
	free(text);
	lock_manager_free(lock);
}

static void who_armed_and_died_before_cont_is_not_stale(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("a", path, RESOURCE_EXCLUSIVE);
	char *text = saved_of(lock);

	(void)state;
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_arm(lock, NULL), 0);
	assert_true(record_says(path, " gen=2 "));
	assert_int_equal(lock_manager_verify(lock, text, NULL), 0); /* saved + 1, and ours */
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_arm(lock, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), LOCK_STALE); /* saved + 2 */
	free(text);
	lock_manager_free(lock);
}

static void a_removed_record_is_stale_even_if_a_new_one_counts_the_same(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("a", path, RESOURCE_EXCLUSIVE);
	char *text = saved_of(lock);

	(void)state;
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(removexattr(path, ATTRIBUTE), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), LOCK_STALE);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	lock_manager_free(held_lock("b", path, RESOURCE_EXCLUSIVE));
	assert_true(record_says(path, " gen=1 "));
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), LOCK_STALE);
	free(text);
	lock_manager_free(lock);
}

static void a_reader_is_stale_when_its_image_was_used_or_written(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("r", path, RESOURCE_READER);
	char *text = saved_of(lock);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), 0);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	lock_manager_free(held_lock("b", path, RESOURCE_EXCLUSIVE));
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), LOCK_STALE);
	free(text);
	text = saved_of(lock);
	assert_int_equal(lock_manager_verify(lock, text, NULL), 0);
	fixture_write(path);
	assert_int_equal(lock_manager_verify(lock, text, &err), LOCK_STALE);
	assert_non_null(strstr(err.text, "was written without vmlatch after its lock was given"));
	free(text);
	lock_manager_free(lock);
}

static void shared_writers_are_never_stale(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("s", path, RESOURCE_SHARED);
	char *text = saved_of(lock);

	(void)state;
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	fixture_write(path);
	lock_manager_free(held_lock("b", path, RESOURCE_EXCLUSIVE));
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), 0);
	free(text);
	lock_manager_free(lock);
}

static void a_file_that_was_replaced_is_stale_for_another_process(void **state)
{
	char path[128], other[128];
	struct error err = { 0 };
	struct lock *lock;
	char *text;

	(void)state;
	strcpy(path, fixture_image("a"));
	strcpy(other, fixture_image("b"));
	lock = held_lock("a", path, RESOURCE_EXCLUSIVE);
	text = saved_of(lock);
	lock_manager_free(lock);
	assert_int_equal(rename(other, path), 0);
	lock = new_lock("a");
	add(lock, path, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, &err), LOCK_STALE);
	assert_non_null(strstr(err.text, "was replaced by another file"));
	assert_null(strstr(err.text, "after its lock was given back"));
	free(text);
	lock_manager_free(lock);
}

#define in_fixture(test) \
	cmocka_unit_test_setup_teardown(test, lock_fixture_setup, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_fixture(a_generation_that_moved_is_stale_and_names_the_user),
		in_fixture(everyday_life_is_not_stale),
		in_fixture(a_write_right_after_the_release_is_seen),
		in_fixture(a_release_waits_until_the_next_write_has_another_time),
		in_fixture(room_that_was_made_is_not_stale),
		in_fixture(who_armed_and_died_before_cont_is_not_stale),
		in_fixture(a_removed_record_is_stale_even_if_a_new_one_counts_the_same),
		in_fixture(a_reader_is_stale_when_its_image_was_used_or_written),
		in_fixture(shared_writers_are_never_stale),
		in_fixture(a_file_that_was_replaced_is_stale_for_another_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
