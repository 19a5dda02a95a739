/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lockspace_helpers.h"

/* A name more of what is held already: others may know the image by that one only. */

static char other[128];

static int make_name(void **state)
{
	if (make_space(state) < 0)
		return -1;
	strcpy(other, fixture_path("other.img"));
	return link(image, other);
}

static size_t count_lines(struct lock *lock)
{
	_cleanup_(freep) struct lock_descriptor *all = NULL;
	size_t n;

	assert_int_equal(lock_manager_descriptors(lock, &all, &n, NULL), 0);
	return n;
}

static bool is_reopened(struct lock *lock)
{
	struct resource member = fixture_resource(image, RESOURCE_EXCLUSIVE);
	struct lock_status status;

	assert_int_equal(lock_manager_status(lock, &member, &status), 0);
	return status.reopened;
}

static void has_its_lock_file_too(void **state)
{
	struct lock *lock = holder_of(image, RESOURCE_EXCLUSIVE);
	_cleanup_(freep) char *before = get(lock_file(image)), *after = NULL, *written = NULL;
	struct error err;

	(void)state;
	add(lock, other, RESOURCE_EXCLUSIVE);
	assert_int_equal(acquire(lock, &err), 0);
	assert_int_equal(lock_seen(lock_file(other), 0), F_WRLCK);
	assert_int_equal(lock_seen(lock_file(other), 2), F_WRLCK);
	assert_int_equal(count_lines(lock), 6);
	assert_true(is_reopened(lock));
	assert_int_equal(lock_manager_arm(lock, NULL), 0);
	written = get(lock_file(other));
	assert_non_null(strstr(written, "gen=2 "));
	assert_non_null(strstr(written, " host=host-a vm=a"));
	after = get(lock_file(image));
	assert_string_equal(after, before); /* it is held since then */
	assert_int_equal(lock_manager_verify(lock, NULL, &err), 0);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(lock_seen(lock_file(other), 0), F_UNLCK);
	assert_int_equal(acquire(lock, &err), 0);
	assert_int_equal(lock_seen(lock_file(other), 0), F_WRLCK);
	lock_manager_free(lock);
}

static void is_there_already_the_next_time(void **state)
{
	struct lock *child = holder_of(image, RESOURCE_EXCLUSIVE), *ours = vm_on("a", "host-a");
	struct error err;
	int i;

	(void)state;
	add(ours, image, RESOURCE_EXCLUSIVE);
	assert_int_equal(adopt_from(child, ours, &err), 0);
	lock_manager_free(child);
	for (i = 0; i < 3; i++) {
		_cleanup_(freep) char *written = NULL;

		add(ours, other, RESOURCE_EXCLUSIVE);
		assert_int_equal(acquire(ours, &err), 0);
		assert_int_equal(lock_manager_arm(ours, NULL), 0);
		assert_int_equal(count_lines(ours), 6);
		written = get(lock_file(other));
		assert_non_null(strstr(written, "gen=2 "));
	}
	lock_manager_free(ours);
}

static void by_which_somebody_else_has_it_is_refused_and_forgotten(void **state)
{
	struct lock *lock = holder_of(image, RESOURCE_EXCLUSIVE), *theirs;
	struct resource named = fixture_resource(other, RESOURCE_EXCLUSIVE);
	size_t fds = fixture_count_fds();
	struct error err;

	(void)state;
	/* as if locks on the image itself did not reach us from there */
	assert_int_equal(unlink(other), 0);
	put(other, "theirs");
	theirs = holder_of(other, RESOURCE_EXCLUSIVE);
	assert_int_equal(unlink(other), 0);
	assert_int_equal(link(image, other), 0);
	add(lock, other, RESOURCE_EXCLUSIVE);
	assert_int_equal(acquire(lock, &err), LOCK_BUSY);
	assert_non_null(strstr(err.text, "is in use by VM 'a' (host host-a"));
	assert_int_equal(count_lines(lock), 4);
	assert_int_equal(lock_seen(lock_file(image), 0), F_WRLCK);
	assert_int_equal(lock_seen(image, 0), F_WRLCK);
	assert_int_equal(lock_manager_verify(lock, NULL, &err), 0);
	lock_manager_free(theirs);
	assert_int_equal(lock_manager_release(lock, &named, NULL), 0);
	assert_int_equal(fixture_count_fds(), fds);
	/* and later it is not asked for either */
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(acquire(lock, &err), 0);
	assert_int_equal(lock_seen(lock_file(other), 0), F_UNLCK);
	lock_manager_free(lock);
}

static void is_given_back_if_what_came_with_it_is_busy(void **state)
{
	struct lock *lock, *theirs;
	char busy[128];
	struct error err;

	(void)state;
	strcpy(busy, fixture_image("busy.img"));
	lock = holder_of(image, RESOURCE_EXCLUSIVE);
	theirs = holder_of(busy, RESOURCE_EXCLUSIVE);
	add(lock, other, RESOURCE_EXCLUSIVE);
	add(lock, busy, RESOURCE_EXCLUSIVE);
	assert_int_equal(acquire(lock, &err), LOCK_BUSY);
	assert_int_equal(lock_seen(lock_file(other), 0), F_UNLCK);
	assert_int_equal(count_lines(lock), 4);
	assert_int_equal(lock_seen(lock_file(image), 0), F_WRLCK);
	lock_manager_free(theirs);
	assert_int_equal(acquire(lock, &err), 0);
	assert_int_equal(lock_seen(lock_file(other), 0), F_WRLCK);
	assert_int_equal(lock_manager_verify(lock, NULL, &err), 0);
	lock_manager_free(lock);
}

static struct domain_lock *domain_of(const char *path)
{
	struct domain_lock_start start = { .pid = getpid() };
	struct resource named = fixture_resource(path, RESOURCE_EXCLUSIVE);
	struct resource_set set = { .items = &named, .n = 1 };
	struct domain_lock *domain;

	params = fixture_params("a");
	params.lockspace = space;
	assert_int_equal(domain_lock_new("file", &params, &set, &domain, NULL), 0);
	assert_int_equal(domain_lock_process_start(domain, &start, NULL, NULL), 0);
	return domain;
}

static void of_a_known_identity_is_another_name_too(void **state)
{
	struct domain_lock *domain = domain_of(image);
	struct resource named = fixture_resource(other, RESOURCE_EXCLUSIVE);
	struct stat info;

	(void)state;
	assert_int_equal(stat(other, &info), 0);
	named.id = resource_identity_of(&info);
	assert_int_equal(domain_lock_image_attach(domain, &named, NULL, NULL), 0);
	assert_int_equal(lock_seen(lock_file(other), 0), F_WRLCK);
	assert_int_equal(domain_lock_resources(domain)->n, 1);
	assert_string_equal(domain_lock_resources(domain)->items[0].path, image);
	domain_lock_free(domain);
}

/* Else who used it by that name alone, where byte locks do not reach, would not be seen. */
static void is_given_back_only_with_a_state_that_speaks_of_it(void **state)
{
	struct resource named = fixture_resource(other, RESOURCE_EXCLUSIVE);
	_cleanup_(freep) char *before = NULL, *after = NULL;
	struct domain_lock *domain = domain_of(image);
	struct lock *theirs;
	struct error err;

	(void)state;
	assert_int_equal(domain_lock_process_inquire(domain, &before, NULL), 0);
	assert_int_equal(domain_lock_image_attach(domain, &named, NULL, NULL), 0);
	assert_int_equal(domain_lock_process_pause(domain, before, &err), LOCK_CHANGED);
	assert_int_equal(lock_seen(lock_file(other), 0), F_WRLCK);
	assert_int_equal(lock_seen(lock_file(image), 0), F_WRLCK);
	assert_int_equal(domain_lock_process_inquire(domain, &after, NULL), 0);
	assert_int_equal(domain_lock_process_pause(domain, after, NULL), 0);
	/* the image itself as another host has it, which is told by the lock file alone */
	assert_int_equal(unlink(other), 0);
	put(other, "theirs");
	theirs = vm_on("b", "host-b");
	add(theirs, other, RESOURCE_EXCLUSIVE);
	assert_int_equal(acquire(theirs, &err), 0);
	assert_int_equal(lock_manager_arm(theirs, NULL), 0);
	lock_manager_free(theirs);
	assert_int_equal(domain_lock_process_resume(domain, false, NULL, &err), LOCK_STALE);
	domain_lock_free(domain);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_name, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(has_its_lock_file_too),
		TEST(is_there_already_the_next_time),
		TEST(by_which_somebody_else_has_it_is_refused_and_forgotten),
		TEST(is_given_back_if_what_came_with_it_is_busy),
		TEST(of_a_known_identity_is_another_name_too),
		TEST(is_given_back_only_with_a_state_that_speaks_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
