/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fault.h"
#include "lockspace_helpers.h"

/* What a file system may answer, to a lock file only: the sentence and what is left. */
static void a_file_system_that_refuses_is_told_of_and_nothing_is_left(void **state)
{
	static const struct {
		const char *call;
		int err;
		int status; /* 0: it works all the same, by the stamp alone */
		const char *words;
	} cases[] = {
		{ "openat", ENOSPC, 69, "No space left" },
		{ "openat", EDQUOT, 69, "quota" },
		{ "openat", EROFS, 77, "Read-only file system" },
		{ "openat", EACCES, 77, "Permission denied" },
		{ "openat", ESTALE, 69, "Stale file handle" },
		{ "pwrite", ENOSPC, 0, "" },
		{ "pwrite", EDQUOT, 0, "" },
		{ "fsetxattr", ENOSPC, 0, "" }, /* the attributes' room is full */
		{ "fsetxattr", EDQUOT, 0, "" },
		{ "fcntl", ENOLCK, 65, "has no locks" },
	};
	size_t i, fds;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lock *lock = vm_on("a", "host-a");
		struct error err;
		int ret;

		unlink(lock_file(image));
		add(lock, image, RESOURCE_EXCLUSIVE);
		fds = fixture_count_fds();
		fault_always(cases[i].call, cases[i].err);
		ret = acquire(lock, &err);
		if (ret == 0)
			ret = lock_manager_arm(lock, &err);
		fault_always(NULL, 0);
		if (cases[i].status ? err.status != cases[i].status || ret >= 0 : ret != 0)
			fail_msg("case %zu: %d, %d '%s'", i, ret, err.status, err.text);
		assert_non_null(strstr(err.text, cases[i].words));
		if (ret < 0) {
			assert_int_equal(fixture_count_fds(), fds);
			assert_int_equal(lock_seen(image, 0), F_UNLCK);
		}
		lock_manager_free(lock);
	}
}

/* A reader does without locks where the image can have none; not where it can, beside a writer. */
static void a_reader_whose_lock_file_cannot_be_locked_is_refused(void **state)
{
	struct lock *lock;
	struct error err;
	unsigned calls = 0;
	bool skipped;
	int ret;

	(void)state;
	do { /* how many of them are about the image */
		lock = new_lock("a");
		add(lock, image, RESOURCE_READER);
		fault_after("fcntl", calls++, ENOLCK);
		assert_int_equal(acquire(lock, &err), 0);
		fault_always(NULL, 0);
		skipped = status_of(lock, image).skipped;
		lock_manager_free(lock);
	} while (skipped);
	lock = vm_on("a", "host-a");
	add(lock, image, RESOURCE_READER);
	fault_after("fcntl", calls - 1, ENOLCK);
	ret = acquire(lock, &err);
	fault_always(NULL, 0);
	assert_true(ret < 0);
	assert_int_equal(err.status, 65);
	assert_non_null(strstr(err.text, "has no locks"));
	lock_manager_free(lock);
}

static void a_directory_that_disappears_while_it_is_held_is_a_loss(void **state)
{
	struct lock *lock = holder_of(image, RESOURCE_EXCLUSIVE);
	struct error err = { 0 };
	char *saved = saved_of(lock);

	(void)state;
	unlink(lock_file(image));
	assert_int_equal(rmdir(space), 0);
	assert_int_equal(lock_manager_verify(lock, NULL, &err), LOCK_LOST);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(acquire(lock, &err), -ENOENT);
	assert_int_equal(err.status, 69);
	assert_int_equal(lock_seen(image, 0), F_UNLCK);
	assert_int_equal(mkdir(space, 0700), 0);
	assert_int_equal(acquire(lock, &err), 0);
	assert_int_equal(lock_manager_verify(lock, saved, &err), LOCK_STALE);
	free(saved);
	lock_manager_free(lock);
}

/* Only what is seen to be gone is: an error of the storage proves nothing. */
static void a_lock_file_that_cannot_be_looked_at_is_no_loss_and_no_other_file(void **state)
{
	static const int codes[] = { EIO, ESTALE, EACCES };
	struct error err = { 0 };
	struct lock *lock;
	size_t i;
	int ret;

	(void)state;
	for (i = 0; i < sizeof(codes) / sizeof(codes[0]); i++) {
		lock = holder_of(image, RESOURCE_EXCLUSIVE);
		fault_always("lstat", codes[i]);
		ret = lock_manager_verify(lock, NULL, &err);
		fault_always(NULL, 0);
		assert_int_equal(ret, -codes[i]);
		assert_non_null(strstr(err.text, "cannot be seen: "));
		assert_int_equal(lock_manager_verify(lock, NULL, &err), 0);
		assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
		fault_always("lstat", codes[i]);
		ret = acquire(lock, &err);
		fault_always(NULL, 0);
		assert_int_equal(ret, -codes[i]);
		assert_int_equal(err.status, 69);
		assert_non_null(strstr(err.text, lock_file(image)));
		assert_int_equal(lock_seen(lock_file(image), 0), F_UNLCK);
		assert_int_equal(acquire(lock, &err), 0);
		lock_manager_free(lock);
	}
}

/* What is known of one line counts, whether or not the other can be seen. */
static void a_lock_that_is_gone_is_a_loss_though_the_rest_cannot_be_seen(void **state)
{
	struct lock *lock = holder_of(image, RESOURCE_EXCLUSIVE);
	struct flock none = { .l_type = F_UNLCK, .l_whence = SEEK_SET };
	_cleanup_(freep) struct lock_descriptor *all = NULL;
	struct error err = { 0 };
	size_t i, n;

	(void)state;
	assert_int_equal(lock_manager_descriptors(lock, &all, &n, NULL), 0);
	for (i = 0; i < n; i++)
		assert_int_equal(fcntl(all[i].fd, F_OFD_SETLK, &none), 0);
	for (i = 1; i < 100; i++) {
		fault_arm(i);
		assert_int_equal(lock_manager_verify(lock, NULL, &err), LOCK_LOST);
		if (!fault_disarm())
			break;
	}
	assert_true(i > 2);
	lock_manager_free(lock);
	lock = holder_of(image, RESOURCE_EXCLUSIVE);
	fault_always("openat", EMFILE);
	assert_int_equal(lock_manager_verify(lock, NULL, &err), -EMFILE);
	fault_always(NULL, 0);
	assert_non_null(strstr(err.text, "is still locked cannot be seen: Too many open files"));
	lock_manager_free(lock);
}

/* Times are never compared with the clock's: only with what was saved. */
static void a_clock_that_jumps_makes_nothing_stale(void **state)
{
	static const time_t jumps[] = { 0, 1, -100000, 100000, 4102444800 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(jumps) / sizeof(jumps[0]); i++) {
		struct timespec times[2] = { { .tv_sec = jumps[i] }, { .tv_sec = jumps[i] } };
		struct lock *lock;
		struct error err;
		char *saved;

		assert_int_equal(utimensat(AT_FDCWD, image, times, 0), 0);
		lock = holder_of(image, RESOURCE_EXCLUSIVE);
		saved = saved_of(lock);
		assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
		assert_int_equal(acquire(lock, &err), 0);
		assert_int_equal(lock_manager_verify(lock, saved, &err), 0);
		free(saved);
		lock_manager_free(lock);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_space, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_file_system_that_refuses_is_told_of_and_nothing_is_left),
		TEST(a_reader_whose_lock_file_cannot_be_locked_is_refused),
		TEST(a_directory_that_disappears_while_it_is_held_is_a_loss),
		TEST(a_lock_that_is_gone_is_a_loss_though_the_rest_cannot_be_seen),
		TEST(a_lock_file_that_cannot_be_looked_at_is_no_loss_and_no_other_file),
		TEST(a_clock_that_jumps_makes_nothing_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
