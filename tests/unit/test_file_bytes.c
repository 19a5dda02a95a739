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
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fault.h"
#include "file_helpers.h"
#include "locking/file_lock.h"

static void each_mode_locks_its_bytes_and_no_others(void **state)
{
	static const int seen[3][5] = {
		[RESOURCE_READER] = { F_RDLCK, F_UNLCK, F_RDLCK, F_UNLCK, F_RDLCK },
		[RESOURCE_SHARED] = { F_RDLCK, F_UNLCK, F_RDLCK, F_RDLCK, F_UNLCK },
		[RESOURCE_EXCLUSIVE] = { F_WRLCK, F_UNLCK, F_WRLCK, F_UNLCK, F_UNLCK },
	};
	const char *path = fixture_image("a");
	int mode, byte;

	(void)state;
	for (mode = RESOURCE_READER; mode <= RESOURCE_EXCLUSIVE; mode++) {
		struct lock *lock = held_lock("a", path, mode);

		for (byte = 0; byte < 300; byte++)
			assert_int_equal(
				lock_seen(path, byte), byte < 5 ? seen[mode][byte] : F_UNLCK);
		assert_int_equal(lock_manager_verify(lock, NULL, NULL), 0);
		assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
		for (byte = 0; byte < 300; byte++)
			assert_int_equal(lock_seen(path, byte), F_UNLCK);
		lock_manager_free(lock);
	}
}

static void modes_go_together_as_the_table_says(void **state)
{
	static const bool together[3][3] = {
		[RESOURCE_READER] = { [RESOURCE_READER] = true },
		[RESOURCE_SHARED] = { [RESOURCE_SHARED] = true },
	};
	const char *path = fixture_image("a");
	int mine, other;

	(void)state;
	for (mine = RESOURCE_READER; mine <= RESOURCE_EXCLUSIVE; mine++) {
		struct lock *lock = held_lock("a", path, mine);

		for (other = RESOURCE_READER; other <= RESOURCE_EXCLUSIVE; other++)
			assert_int_equal(try_acquire(path, other, NULL),
				together[mine][other] ? 0 : LOCK_BUSY);
		assert_int_equal(lock_manager_verify(lock, NULL, NULL), 0);
		lock_manager_free(lock);
	}
}

static void the_guard_holds_when_qemu_lets_go_of_the_life_line(void **state)
{
	const char *path = fixture_image("a");
	int mode, other;

	(void)state;
	for (mode = RESOURCE_READER; mode <= RESOURCE_EXCLUSIVE; mode++) {
		struct lock *lock = held_lock("a", path, mode);
		struct resource image = fixture_resource(path, mode);
		struct error err = { 0 };

		/* through any alias: here through the number itself */
		file_lock_drop(first_fd_of(lock, &image), FILE_LINE_LIFE, file_use_of(mode));
		assert_int_equal(lock_seen(path, 0), F_UNLCK);
		for (other = RESOURCE_READER; other <= RESOURCE_EXCLUSIVE; other++) {
			if (other != mode || mode == RESOURCE_EXCLUSIVE)
				assert_int_equal(try_acquire(path, other, NULL), LOCK_BUSY);
		}
		assert_int_equal(lock_manager_verify(lock, NULL, &err), LOCK_LOST);
		assert_non_null(strstr(err.text, path));
		lock_manager_free(lock);
	}
}

static void the_life_line_holds_when_the_supervisor_dies(void **state)
{
	const char *path = fixture_image("a");
	int mode, other;

	(void)state;
	for (mode = RESOURCE_READER; mode <= RESOURCE_EXCLUSIVE; mode++) {
		struct lock *lock = held_lock("a", path, mode);
		struct resource image = fixture_resource(path, mode);
		int qemus = dup(first_fd_of(lock, &image));

		lock_manager_free(lock); /* closes, as death does */
		for (other = RESOURCE_READER; other <= RESOURCE_EXCLUSIVE; other++) {
			if (other != mode || mode == RESOURCE_EXCLUSIVE)
				assert_int_equal(try_acquire(path, other, NULL), LOCK_BUSY);
		}
		close(qemus);
		assert_int_equal(try_acquire(path, RESOURCE_EXCLUSIVE, NULL), 0);
	}
}

static void the_same_description_is_locked_again_after_a_release(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("a", path, RESOURCE_EXCLUSIVE);
	struct resource image = fixture_resource(path, RESOURCE_EXCLUSIVE);
	int qemus[] = { dup(first_fd_of(lock, &image)), -1 };

	(void)state;
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(file_lock_is_held(qemus, FILE_LINE_LIFE, FILE_USE_EXCLUSIVE), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(file_lock_is_held(qemus, FILE_LINE_LIFE, FILE_USE_EXCLUSIVE), 1);
	close(qemus[0]);
	lock_manager_free(lock);
}

static void a_failed_acquire_keeps_what_was_held_and_nothing_else(void **state)
{
	char first[128], second[128], third[128];
	struct lock *other, *lock;
	struct error err = { 0 };

	(void)state;
	strcpy(first, fixture_image("1"));
	strcpy(second, fixture_image("2"));
	strcpy(third, fixture_image("3"));
	other = held_lock("b", third, RESOURCE_EXCLUSIVE);
	lock = held_lock("a", first, RESOURCE_EXCLUSIVE);
	add(lock, second, RESOURCE_EXCLUSIVE);
	add(lock, third, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, &err), LOCK_BUSY);
	assert_int_equal(lock_seen(first, 0), F_WRLCK);
	assert_int_equal(lock_seen(first, 2), F_WRLCK);
	assert_int_equal(lock_seen(second, 0), F_UNLCK);
	assert_int_equal(lock_seen(second, 2), F_UNLCK);
	assert_string_equal(record_of(second), ""); /* never armed: nothing used */
	assert_int_equal(lock_manager_release(other, NULL, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_seen(third, 2), F_WRLCK);

	/* one that cannot even be opened, after an acquire that went well */
	add(lock, fixture_path("0-missing"), RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), -ENOENT);
	assert_int_equal(lock_seen(first, 0), F_WRLCK);
	assert_int_equal(lock_seen(second, 2), F_WRLCK);
	assert_int_equal(lock_manager_verify(lock, NULL, NULL), 0);
	lock_manager_free(lock);
	lock_manager_free(other);
}

static void to_acquire_arm_or_release_twice_changes_nothing(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = held_lock("a", path, RESOURCE_EXCLUSIVE);
	size_t fds = fixture_count_fds();

	(void)state;
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_arm(lock, NULL), 0);
	assert_true(record_says(path, " gen=1 "));
	assert_int_equal(fixture_count_fds(), fds);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(lock_seen(path, 0), F_UNLCK);
	lock_manager_free(lock);
}

static void to_register_takes_nothing(void **state)
{
	const char *path = fixture_image("a");
	struct lock *lock = new_lock("a");
	size_t fds = fixture_count_fds();

	(void)state;
	add(lock, path, RESOURCE_EXCLUSIVE);
	assert_int_equal(
		lock_manager_acquire(lock, LOCK_REGISTER_ONLY | LOCK_RESTRICT, NULL, NULL), 0);
	assert_int_equal(fixture_count_fds(), fds);
	assert_int_equal(lock_seen(path, 0), F_UNLCK);
	assert_false(status_of(lock, path).held);
	lock_manager_free(lock);
}

static void one_resource_can_be_given_back_and_forgotten(void **state)
{
	const char *path = fixture_image("a"), *other = fixture_image("b");
	struct lock *lock = held_lock("a", path, RESOURCE_EXCLUSIVE);
	struct resource only = fixture_resource(path, RESOURCE_EXCLUSIVE);
	size_t fds;

	(void)state;
	add(lock, other, RESOURCE_READER);
	fds = fixture_count_fds();
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_release(lock, &only, NULL), 0);
	assert_int_equal(lock_manager_release(lock, &only, NULL), 0);
	assert_int_equal(first_fd_of(lock, &only), -1);
	assert_int_equal(fixture_count_fds(), fds); /* two came, two went */
	assert_int_equal(lock_seen(path, 2), F_UNLCK);
	assert_true(record_says(path, " held=0 "));
	assert_int_equal(lock_seen(other, 2), F_RDLCK);
	lock_manager_free(lock);
}

/*
 * Both processes say when they are in; nobody may be in who does not go with the
 * other. On a busy machine one of them may lose every round.
 */
struct ring {
	_Atomic int in[2];
	_Atomic int won;
};

static int race(const char *path, enum resource_mode mode, struct ring *ring, int me)
{
	struct lock *lock = new_lock("race");
	int round, met = 0;

	add(lock, path, mode);
	for (round = 0; round < 3000; round++) {
		if (lock_manager_acquire(lock, 0, NULL, NULL) != 0)
			continue;
		ring->in[me] = 1;
		ring->won++;
		met += ring->in[!me];
		ring->in[me] = 0;
		lock_manager_release(lock, NULL, NULL);
	}
	lock_manager_free(lock);
	return met != 0;
}

static void two_racers_are_never_both_in(void **state)
{
	static const enum resource_mode pairs[][2] = {
		{ RESOURCE_EXCLUSIVE, RESOURCE_EXCLUSIVE },
		{ RESOURCE_READER, RESOURCE_EXCLUSIVE },
		{ RESOURCE_SHARED, RESOURCE_READER },
	};
	struct ring *ring = mmap(
		NULL, sizeof(*ring), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	const char *path = fixture_image("a");
	int status, ours;
	size_t i;
	pid_t pid;

	(void)state;
	for (i = 0; i < 3; i++) {
		ring->won = 0;
		pid = fork();
		if (pid == 0)
			_exit(race(path, pairs[i][1], ring, 1));
		ours = race(path, pairs[i][0], ring, 0);
		waitpid(pid, &status, 0);
		assert_int_equal(ours, 0);
		assert_int_equal(status, 0);
		assert_true(ring->won > 0);
	}
	munmap(ring, sizeof(*ring));
}

#define in_fixture(test) \
	cmocka_unit_test_setup_teardown(test, lock_fixture_setup, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_fixture(two_racers_are_never_both_in),
		in_fixture(each_mode_locks_its_bytes_and_no_others),
		in_fixture(modes_go_together_as_the_table_says),
		in_fixture(the_guard_holds_when_qemu_lets_go_of_the_life_line),
		in_fixture(the_life_line_holds_when_the_supervisor_dies),
		in_fixture(the_same_description_is_locked_again_after_a_release),
		in_fixture(a_failed_acquire_keeps_what_was_held_and_nothing_else),
		in_fixture(to_acquire_arm_or_release_twice_changes_nothing),
		in_fixture(to_register_takes_nothing),
		in_fixture(one_resource_can_be_given_back_and_forgotten),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
