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
#include "domain_helpers.h"
#include "fault.h"
#include "lock_disks.h"
#include "locking/lock_manager.h"
#include "locking/saved_state.h"

/*
 * Every path of the drivers with the first, second, ... call failing: nothing
 * crashes, no descriptor and no lock is left, and what a function promises after
 * a failure is so.
 */
#define MAX_CALLS 2000 /* more means a loop that never ends */

static struct domain_lock *domain_make(struct disks *disks, const struct resource_set *set)
{
	struct domain_lock *domain;

	assert_int_equal(domain_lock_new("file", &disks->params, set, &domain, NULL), 0);
	return domain;
}

static struct domain_lock *domain_started(struct disks *disks, const struct resource_set *set)
{
	struct domain_lock *domain = domain_make(disks, set);

	assert_int_equal(start_domain(domain), 0);
	return domain;
}

static char *domain_inquired(struct domain_lock *domain)
{
	char *text;

	assert_int_equal(domain_lock_process_inquire(domain, &text, NULL), 0);
	return text;
}

static void a_life_with_faults_leaves_nothing_behind(void **state)
{
	struct disks *disks = disks_of(state);
	size_t fds = fixture_count_fds(), i;
	unsigned n;
	int ret;

	FOR_EACH_DRIVER(i)
	{
		for (n = 1; n < MAX_CALLS; n++) {
			fault_arm(n);
			ret = live_through_it(drivers[i], disks);
			if (!fault_disarm())
				break;
			assert_int_not_equal(ret, LOCK_BUSY);
			assert_int_equal(fixture_count_fds(), fds);
			assert_true(all_are_free(disks));
		}
		assert_int_equal(ret, 0);
		assert_true(n > (i ? 10 : 60) && n < MAX_CALLS);
	}
}

static void a_start_with_faults_holds_all_or_nothing(void **state)
{
	struct disks *disks = disks_of(state);
	bool fired = true;
	unsigned n;
	int ret;

	for (n = 1; n < MAX_CALLS && fired; n++) {
		struct domain_lock *domain;
		struct error err = { 0 };
		size_t fds;

		domain = domain_make(disks, &disks->set);
		fds = fixture_count_fds();
		fault_arm(n);
		ret = domain_lock_process_start(domain, &disks->start, &disks->conflict, &err);
		fired = fault_disarm();
		if (ret != 0) {
			assert_true(ret < 0);
			assert_string_not_equal(err.text, "");
			assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_REGISTERED);
			assert_true(all_are_free(disks));
			assert_true(fixture_count_fds() <= fds + 2 * disks->n_files);
		} else {
			if (count_unlocked(disks) != 0)
				fail_msg("call %u, %s: not all is locked", n, fault_name());
			assert_int_equal(domain_lock_verify(domain, NULL), 0);
		}
		domain_lock_free(domain);
		assert_int_equal(fixture_count_fds(), fds);
	}
	assert_true(n > 20);
}

static void a_pause_with_faults_leaves_all_held_or_nothing(void **state)
{
	struct disks *disks = disks_of(state);
	struct domain_lock *domain;
	bool fired = true;
	unsigned n;
	char *text;
	int ret;

	for (n = 1; n < MAX_CALLS && fired; n++) {
		domain = domain_started(disks, &disks->set);
		text = domain_inquired(domain);
		fault_arm(n);
		ret = domain_lock_process_pause(domain, text, NULL);
		fired = fault_disarm();
		if (ret != 0) {
			assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_HELD);
			assert_int_equal(domain_lock_verify(domain, NULL), 0);
			assert_int_equal(domain_lock_process_pause(domain, text, NULL), 0);
		}
		assert_true(all_are_free(disks));
		assert_int_equal(resume_domain(domain, NULL), 0);
		free(text);
		domain_lock_free(domain);
	}
	assert_true(n > 5);
}

static void a_resume_with_faults_holds_nothing_and_can_be_tried_again(void **state)
{
	struct disks *disks = disks_of(state);
	struct domain_lock *domain;
	bool fired = true;
	unsigned n;
	char *text;
	int ret;

	domain = domain_started(disks, &disks->set);
	for (n = 1; n < MAX_CALLS && fired; n++) {
		text = domain_inquired(domain);
		assert_int_equal(domain_lock_process_pause(domain, text, NULL), 0);
		fault_arm(n);
		ret = resume_domain(domain, NULL);
		fired = fault_disarm();
		/* a record that could not be read is no record: too careful is allowed */
		if (ret != 0) {
			assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_RELEASED);
			assert_true(all_are_free(disks));
			assert_int_equal(resume_domain(domain, NULL), 0);
		}
		assert_int_equal(domain_lock_verify(domain, NULL), 0);
		free(text);
	}
	assert_true(n > 10);
	domain_lock_free(domain);
}

/* The file system of the second disk is read-only for now; the first is armed each time. */
static int resume_in_vain(struct domain_lock *domain)
{
	struct error err;
	int ret;

	fault_after("fsetxattr", 1, EROFS);
	fault_always("fremovexattr", EROFS);
	ret = resume_domain(domain, &err);
	fault_always(NULL, 0);
	return ret;
}

static void resumes_that_cannot_arm_it_do_not_make_it_stale(void **state)
{
	char first[128], second[128];
	struct domain_lock *domain;
	struct error err;
	int i;

	(void)state;
	strcpy(first, fixture_image("1"));
	strcpy(second, fixture_image("2"));
	domain = running("file", "a", first);
	assert_int_equal(attach(domain, second, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(pause_domain(domain), 0);
	for (i = 0; i < 4; i++)
		assert_int_equal(resume_in_vain(domain), -EROFS);
	assert_int_equal(resume_domain(domain, &err), 0);
	assert_int_equal(pause_domain(domain), 0);
	assert_int_equal(resume_in_vain(domain), -EROFS);
	assert_int_equal(try_hold(first), 0);
	assert_int_equal(resume_domain(domain, &err), LOCK_STALE);
	domain_lock_free(domain);
}

static void an_attach_with_faults_changes_nothing(void **state)
{
	struct disks *disks = disks_of(state);
	struct domain_lock *domain;
	bool fired = true;
	unsigned n;
	int ret;

	domain = domain_started(disks, NULL);
	for (n = 1; n < MAX_CALLS && fired; n++) {
		size_t fds = fixture_count_fds();

		fault_arm(n);
		ret = domain_lock_disk_attach(domain, &disks->set, &disks->conflict, NULL);
		fired = fault_disarm();
		if (ret == 0) { /* without a fault, or with one that is no failure */
			assert_int_equal(domain_lock_resources(domain)->n, 2);
			assert_int_equal(domain_lock_disk_detach(domain, &disks->set, NULL), 0);
		}
		assert_int_equal(domain_lock_resources(domain)->n, 0);
		assert_int_equal(fixture_count_fds(), fds);
		assert_true(all_are_free(disks));
	}
	assert_true(n > 20);
	domain_lock_free(domain);
}

static void an_adoption_with_faults_takes_nothing_over(void **state)
{
	struct disks *disks = disks_of(state);
	struct domain_lock *child, *ours;
	struct lock_descriptor *all;
	int fds[16], ret = -1;
	size_t count, i;
	unsigned n;
	char *text;

	child = domain_started(disks, &disks->set);
	text = domain_inquired(child);
	assert_int_equal(domain_lock_descriptors(child, &all, &count, NULL), 0);
	assert_int_equal(count, 2 * disks->n_files);
	for (i = 0; i < count; i++)
		fds[i] = fcntl(all[i].fd, F_DUPFD_CLOEXEC, 0);
	ours = domain_make(disks, &disks->set);
	for (n = 1; n < MAX_CALLS && ret != 0; n++) {
		fault_arm(n);
		ret = domain_lock_adopt(ours, &disks->start, fds, count, text, NULL);
		fault_disarm();
		assert_int_equal(domain_lock_state(ours),
			ret == 0 ? DOMAIN_LOCK_HELD : DOMAIN_LOCK_REGISTERED);
		assert_true(fcntl(fds[count - 1], F_GETFD) >= 0); /* still the caller's, or ours */
	}
	assert_true(n > 5);
	domain_lock_free(child);
	assert_int_equal(domain_lock_verify(ours, NULL), 0);
	domain_lock_free(ours);
	free(all);
	free(text);
}

static void a_look_with_faults_leaves_no_descriptor(void **state)
{
	const char *path = fixture_image("a");
	size_t fds = fixture_count_fds();
	struct peer peer = peer_start("file", "b", path, RESOURCE_EXCLUSIVE);
	struct lock_view view;
	unsigned n;

	(void)state;
	for (n = 1; n < MAX_CALLS; n++) {
		fault_arm(n);
		lock_manager_look(lock_manager_find("file"), path, &view, NULL);
		if (!fault_disarm())
			break;
		assert_int_equal(fixture_count_fds(), fds + 1);
	}
	assert_true(n > 5);
	peer_stop(&peer);
}

static void a_refusal_with_faults_is_still_a_refusal(void **state)
{
	const char *path = fixture_image("a");
	struct peer peer = peer_start("file", "b", path, RESOURCE_EXCLUSIVE);
	struct resource image = fixture_resource(path, RESOURCE_EXCLUSIVE);
	struct lock_params params = fixture_params("a");
	struct lock_conflict conflict;
	size_t fds = fixture_count_fds();
	struct lock *lock;
	unsigned n;
	int ret;

	(void)state;
	assert_int_equal(lock_manager_new(lock_manager_find("file"), &params, &lock, NULL), 0);
	assert_int_equal(lock_manager_add_resource(lock, &image, NULL), 0);
	/* the scan of /proc makes thousands of calls: the first ones are enough */
	for (n = 1; n < 60; n++) {
		fault_arm(n);
		ret = lock_manager_acquire(lock, 0, &conflict, NULL);
		if (!fault_disarm())
			break;
		assert_int_not_equal(ret, 0);
		assert_int_equal(fixture_count_fds(), fds);
	}
	lock_manager_free(lock);
	peer_stop(&peer);
}

static void texts_with_faults_say_no_memory(void **state)
{
	static const char text[] = "file/1 disk,exclusive,locked,1:2,7,-,-,/a "
				   "disk,reader,skipped,1:3,7,-,5@1.000000000,/b";
	struct resource gone = { .kind = RESOURCE_DISK, .path = "/a", .id = { 1, 2 } };
	char *changed = NULL;
	int ret = -1;
	unsigned n;

	(void)state;
	for (n = 1; n < MAX_CALLS && ret != 0; n++) {
		fault_arm(n);
		ret = saved_state_without(text, &gone, &changed);
		if (fault_disarm())
			assert_int_equal(ret, -ENOMEM);
	}
	assert_true(n > 4);
	assert_string_equal(changed, "file/1 disk,reader,skipped,1:3,7,-,5@1.000000000,/b");
	free(changed);
}

#define TEST(name, begins) cmocka_unit_test_setup_teardown(name, begins, lock_fixture_teardown)
#define EACH_PATH(begins)                                                                \
	TEST(a_life_with_faults_leaves_nothing_behind, begins),                          \
		TEST(a_start_with_faults_holds_all_or_nothing, begins),                  \
		TEST(a_pause_with_faults_leaves_all_held_or_nothing, begins),            \
		TEST(a_resume_with_faults_holds_nothing_and_can_be_tried_again, begins), \
		TEST(an_attach_with_faults_changes_nothing, begins),                     \
		TEST(an_adoption_with_faults_takes_nothing_over, begins)

int main(void)
{
	const struct CMUnitTest tests[] = {
		EACH_PATH(disks_make),
		EACH_PATH(disks_make_in_a_lockspace),
		EACH_PATH(disks_make_with_a_lease),
		EACH_PATH(disks_make_with_a_device),
		TEST(resumes_that_cannot_arm_it_do_not_make_it_stale, lock_fixture_setup),
		TEST(a_look_with_faults_leaves_no_descriptor, lock_fixture_setup),
		TEST(a_refusal_with_faults_is_still_a_refusal, lock_fixture_setup),
		TEST(texts_with_faults_say_no_memory, lock_fixture_setup),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
