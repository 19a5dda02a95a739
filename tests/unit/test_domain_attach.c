/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "domain_helpers.h"

/* W2: what is attached while the VM is paused does not keep it from resuming. */
static void what_is_attached_while_paused_is_taken_at_resume(void **state)
{
	size_t i;

	(void)state;
	FOR_EACH_DRIVER(i)
	{
		char first[128], second[128];
		struct domain_lock *domain;

		snprintf(first, sizeof(first), "%s", fixture_image(i ? "1" : "2"));
		snprintf(second, sizeof(second), "%s", fixture_image(i ? "3" : "4"));
		domain = running(drivers[i], "a", first);
		assert_int_equal(pause_domain(domain), 0);
		assert_int_equal(attach(domain, second, RESOURCE_EXCLUSIVE, NULL), 0);
		assert_int_equal(attach(domain, second, RESOURCE_EXCLUSIVE, NULL), 0);
		assert_true(is_free(second));
		assert_int_equal(resume_domain(domain, NULL), 0);
		assert_int_equal(resume_domain(domain, NULL), 0);
		assert_int_equal(attach(domain, second, RESOURCE_EXCLUSIVE, NULL), 0);
		assert_int_equal(try_hold(second), i ? 0 : LOCK_BUSY);
		assert_int_equal(domain_lock_resources(domain)->n, 2);
		domain_lock_free(domain);
	}
}

static void a_failed_attach_changes_nothing(void **state)
{
	char first[128], second[128], third[128];
	struct resource images[2];
	struct resource_set disk = { .items = images, .n = 2 };
	struct lock_conflict conflict;
	struct domain_lock *domain;
	struct peer peer;

	(void)state;
	strcpy(first, fixture_image("1"));
	strcpy(second, fixture_image("2"));
	strcpy(third, fixture_image("3"));
	domain = running("file", "a", first);
	peer = peer_start("file", "b", third, RESOURCE_EXCLUSIVE);
	images[0] = fixture_resource(second, RESOURCE_EXCLUSIVE);
	images[1] = fixture_resource(third, RESOURCE_READER);
	assert_int_equal(domain_lock_disk_attach(domain, &disk, &conflict, NULL), LOCK_BUSY);
	assert_string_equal(conflict.path, third);
	assert_int_equal(domain_lock_resources(domain)->n, 1);
	assert_true(is_free(second));
	assert_int_equal(try_hold(first), LOCK_BUSY);
	assert_int_equal(attach(domain, first, RESOURCE_READER, NULL), 0); /* weaker: is there */
	peer_stop(&peer);
	assert_int_equal(domain_lock_disk_attach(domain, &disk, &conflict, NULL), 0);
	assert_int_equal(domain_lock_resources(domain)->n, 3);
	assert_int_equal(attach(domain, third, RESOURCE_EXCLUSIVE, NULL), -EBUSY);
	assert_int_equal(domain_lock_disk_detach(domain, &disk, NULL), 0);
	assert_int_equal(domain_lock_disk_detach(domain, &disk, NULL), 0);
	assert_int_equal(domain_lock_resources(domain)->n, 1);
	assert_true(is_free(second) && is_free(third));
	assert_int_equal(domain_lock_verify(domain, NULL), 0);
	domain_lock_free(domain);
}

static void what_is_detached_while_paused_cannot_make_it_stale(void **state)
{
	char first[128], second[128];
	struct domain_lock *domain;

	(void)state;
	strcpy(first, fixture_image("1"));
	strcpy(second, fixture_image("2"));
	domain = running("file", "a", first);
	assert_int_equal(attach(domain, second, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(pause_domain(domain), 0);
	assert_int_equal(try_hold(second), 0);
	assert_int_equal(detach(domain, second), 0);
	assert_int_equal(attach(domain, second, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(resume_domain(domain, NULL), 0);
	assert_int_equal(try_hold(second), LOCK_BUSY);
	domain_lock_free(domain);
}

/* What is given up must be in the state that was saved: else nobody sees it used meanwhile. */
static void a_state_that_was_saved_before_an_attach_or_a_detach_gives_nothing_back(void **state)
{
	size_t i;

	(void)state;
	FOR_EACH_DRIVER(i)
	{
		_cleanup_(freep) char *one = NULL, *two = NULL, *none = NULL;
		char first[128], second[128];
		struct domain_lock *domain;

		snprintf(first, sizeof(first), "%s", fixture_image(i ? "1" : "2"));
		snprintf(second, sizeof(second), "%s", fixture_image(i ? "3" : "4"));
		domain = running(drivers[i], "a", first);
		assert_int_equal(domain_lock_process_inquire(domain, &one, NULL), 0);
		assert_int_equal(attach(domain, second, RESOURCE_EXCLUSIVE, NULL), 0);
		assert_int_equal(domain_lock_process_pause(domain, one, NULL), LOCK_CHANGED);
		assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_HELD);
		assert_int_equal(is_free(first), i == 1); /* nop: always */
		assert_int_equal(domain_lock_process_inquire(domain, &two, NULL), 0);
		assert_int_equal(detach(domain, first), 0);
		assert_int_equal(domain_lock_process_pause(domain, two, NULL), LOCK_CHANGED);
		assert_int_equal(attach(domain, first, RESOURCE_EXCLUSIVE, NULL), 0);
		assert_int_equal(domain_lock_process_pause(domain, two, NULL), 0);
		assert_true(is_free(first) && is_free(second));
		assert_int_equal(domain_lock_process_inquire(domain, &none, NULL), 0);
		domain_lock_free(domain);
	}
}

static void leases_come_and_go(void **state)
{
	struct resource lease = { .kind = RESOURCE_LEASE, .mode = RESOURCE_EXCLUSIVE };
	struct lock_conflict conflict;
	char text[160];
	size_t i;

	(void)state;
	assert_int_equal(mkdir(fixture_path("space"), 0700), 0);
	snprintf(text, sizeof(text), "space:key:%s", fixture_path(""));
	lease.path = text;
	FOR_EACH_DRIVER(i)
	{
		struct domain_lock *domain = running(drivers[i], "a", fixture_image(drivers[i]));

		assert_int_equal(domain_lock_lease_attach(domain, &lease, &conflict, NULL), 0);
		assert_int_equal(domain_lock_resources(domain)->n, 2);
		assert_int_equal(domain_lock_lease_attach(domain, &lease, &conflict, NULL), 0);
		assert_int_equal(domain_lock_lease_detach(domain, &lease, NULL), 0);
		assert_int_equal(domain_lock_lease_detach(domain, &lease, NULL), 0);
		assert_int_equal(domain_lock_resources(domain)->n, 1);
		domain_lock_free(domain);
	}
}

#define in_fixture(test) \
	cmocka_unit_test_setup_teardown(test, lock_fixture_setup, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_fixture(what_is_attached_while_paused_is_taken_at_resume),
		in_fixture(a_failed_attach_changes_nothing),
		in_fixture(what_is_detached_while_paused_cannot_make_it_stale),
		in_fixture(a_state_that_was_saved_before_an_attach_or_a_detach_gives_nothing_back),
		in_fixture(leases_come_and_go),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
