/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fault.h"
#include "lockspace_helpers.h"

/* A lock file that goes: between which steps it is heard of, and from where. */

static bool is_told(struct lock *lock)
{
	struct pollfd news = { .fd = lock_manager_lost_fd(lock), .events = POLLIN };

	return news.fd >= 0 && poll(&news, 1, 0) > 0;
}

static void replace(const char *path)
{
	_cleanup_(freep) char *other = NULL;

	assert_true(asprintf(&other, "%s.other", path) > 0);
	put(other, "");
	assert_int_equal(rename(other, path), 0);
}

static void one_that_goes_before_the_supervisor_has_it_is_not_taken_over(void **state)
{
	struct lock *child = holder_of(image, RESOURCE_EXCLUSIVE), *ours = vm_on("a", "host-a");
	size_t fds = fixture_count_fds();
	struct error err;

	(void)state;
	add(ours, image, RESOURCE_EXCLUSIVE);
	replace(lock_file(image));
	assert_int_equal(adopt_from(child, ours, &err), -EAGAIN);
	assert_int_equal(err.status, 69);
	assert_non_null(strstr(err.text, lock_file(image)));
	assert_true(fixture_count_fds() <= fds + 1); /* what watches */
	lock_manager_free(ours);
	lock_manager_free(child);
}

static struct lock *adopted(void)
{
	struct lock *child = holder_of(image, RESOURCE_EXCLUSIVE), *ours = vm_on("a", "host-a");
	struct error err;

	add(ours, image, RESOURCE_EXCLUSIVE);
	if (adopt_from(child, ours, &err) != 0)
		fail_msg("%s", err.text);
	lock_manager_free(child);
	assert_false(is_told(ours));
	return ours;
}

static char lease_file[256];

static void replace_lease(void)
{
	replace(lease_file);
}

static void add_lease(struct lock *lock, const char *key)
{
	struct resource lease = { .kind = RESOURCE_LEASE, .mode = RESOURCE_EXCLUSIVE };
	char dir[128], name[320];

	snprintf(dir, sizeof(dir), "%s", fixture_path(key));
	assert_int_equal(mkdir(dir, 0700), 0);
	snprintf(name, sizeof(name), "%s/vms", dir);
	assert_int_equal(mkdir(name, 0700), 0);
	snprintf(lease_file, sizeof(lease_file), "%s/vms/%s", dir, key);
	snprintf(name, sizeof(name), "vms:%s:%s", key, dir);
	lease.path = name;
	assert_int_equal(lock_manager_add_resource(lock, &lease, NULL), 0);
}

/* "b" is looked at when "a" has been, and is locked: that one goes then. */
static void one_that_goes_before_the_next_one_is_locked_is_heard_of(void **state)
{
	struct lock *lock = adopted();
	struct error err;

	(void)state;
	add_lease(lock, "b");
	add_lease(lock, "a");
	fault_before("lstat", 1, replace_lease);
	assert_int_equal(acquire(lock, &err), 0);
	fault_always(NULL, 0);
	assert_true(is_told(lock));
	assert_int_equal(lock_manager_verify(lock, NULL, &err), LOCK_LOST);
	assert_false(is_told(lock));
	lock_manager_free(lock);
}

/* The lockspace is .../up/space: what is above it can be renamed, too. */
static int make_space_below(void **state)
{
	char up[128];

	if (make_space(state) < 0)
		return -1;
	strcpy(up, fixture_path("up"));
	strcpy(space, fixture_path("up/space"));
	return mkdir(up, 0700) < 0 ? -1 : mkdir(space, 0700);
}

static void one_whose_directory_is_renamed_is_heard_of(void **state)
{
	static const char *const renamed[] = { "up/space", "up" };
	char from[128], to[128];
	struct lock *lock;
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(renamed) / sizeof(renamed[0]); i++) {
		strcpy(from, fixture_path(renamed[i]));
		strcpy(to, fixture_path("elsewhere"));
		lock = adopted();
		assert_int_equal(rename(from, to), 0);
		assert_true(is_told(lock));
		assert_int_equal(lock_manager_verify(lock, NULL, &err), LOCK_LOST);
		assert_false(is_told(lock));
		lock_manager_free(lock);
		assert_int_equal(rename(to, from), 0);
	}
}

#define TEST(name, setup) cmocka_unit_test_setup_teardown(name, setup, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(one_that_goes_before_the_supervisor_has_it_is_not_taken_over, make_space),
		TEST(one_that_goes_before_the_next_one_is_locked_is_heard_of, make_space),
		TEST(one_whose_directory_is_renamed_is_heard_of, make_space_below),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
