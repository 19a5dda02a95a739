/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "domain_helpers.h"

static void a_vm_goes_through_its_life(void **state)
{
	size_t i;

	(void)state;
	FOR_EACH_DRIVER(i)
	{
		const char *path = fixture_image(drivers[i]);
		struct domain_lock *domain = new_domain(drivers[i], "a");

		assert_int_equal(attach(domain, path, RESOURCE_EXCLUSIVE, NULL), 0);
		assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_REGISTERED);
		assert_int_equal(start_domain(domain), 0);
		assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_HELD);
		assert_int_equal(domain_lock_verify(domain, NULL), 0);
		assert_int_equal(pause_domain(domain), 0);
		assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_RELEASED);
		assert_int_equal(resume_domain(domain, NULL), 0);
		assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_HELD);
		assert_string_equal(domain_lock_driver_name(domain), drivers[i]);
		assert_int_equal(domain_lock_resources(domain)->n, 1);
		domain_lock_free(domain);
		assert_true(is_free(path));
	}
}

static void an_unknown_driver_is_unavailable(void **state)
{
	struct lock_params params = fixture_params("a");
	struct domain_lock *domain = NULL;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(domain_lock_new("sanlock", &params, NULL, &domain, &err), -ENOENT);
	assert_int_equal(err.status, 69);
	assert_non_null(strstr(err.text, "sanlock"));
	assert_null(domain);
}

/* W1: a resume that fails for its second disk leaves the first one free. */
static void a_failed_resume_holds_nothing(void **state)
{
	char first[128], second[128];
	struct domain_lock *domain;
	struct error err = { 0 };
	struct peer peer;

	(void)state;
	strcpy(first, fixture_image("1"));
	strcpy(second, fixture_image("2"));
	domain = running("file", "a", first);
	assert_int_equal(attach(domain, second, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(pause_domain(domain), 0);
	peer = peer_start("file", "b", second, RESOURCE_READER);
	assert_int_equal(resume_domain(domain, &err), LOCK_BUSY);
	assert_non_null(strstr(err.text, second));
	assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_RELEASED);
	assert_true(is_free(first));
	peer_stop(&peer);
	/* try_hold() has used the first one: that, and not ourselves, is in the way now */
	assert_int_equal(resume_domain(domain, &err), LOCK_STALE);
	assert_true(is_free(second));
	domain_lock_free(domain);
}

/* W3: a pause that is told twice is one pause. */
static void a_second_pause_keeps_the_saved_state(void **state)
{
	size_t i;

	(void)state;
	FOR_EACH_DRIVER(i)
	{
		const char *path = fixture_image(drivers[i]);
		struct domain_lock *domain = running(drivers[i], "a", path);
		_cleanup_(freep) char *first = NULL, *second = NULL;

		assert_int_equal(pause_domain(domain), 0);
		assert_int_equal(domain_lock_process_inquire(domain, &first, NULL), 0);
		assert_int_equal(domain_lock_process_pause(domain, "nonsense", NULL), 0);
		assert_int_equal(pause_domain(domain), 0);
		assert_int_equal(domain_lock_process_inquire(domain, &second, NULL), 0);
		assert_string_equal(first, second);
		assert_int_equal(strncmp(first, "released ", 9), 0);
		assert_int_equal(resume_domain(domain, NULL), 0);
		domain_lock_free(domain);
	}
}

/* W4: pause, another holder, resume. */
static void a_stale_resume_is_refused_until_it_is_forced(void **state)
{
	const char *path = fixture_image("a");
	struct domain_lock *domain = running("file", "a", path);
	struct lock_conflict conflict;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(pause_domain(domain), 0);
	assert_int_equal(try_hold(path), 0);
	assert_int_equal(resume_domain(domain, &err), LOCK_STALE);
	assert_non_null(strstr(err.text, "used by VM 'other'"));
	assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_RELEASED);
	assert_int_equal(resume_domain(domain, NULL), LOCK_STALE);
	assert_int_equal(domain_lock_process_resume(domain, true, &conflict, NULL), 0);
	assert_int_equal(try_hold(path), LOCK_BUSY);
	/* from here on it is an ordinary life */
	assert_int_equal(pause_domain(domain), 0);
	assert_int_equal(resume_domain(domain, NULL), 0);
	domain_lock_free(domain);
}

static void a_writer_without_vmlatch_makes_a_resume_stale(void **state)
{
	const char *path = fixture_image("a");
	struct domain_lock *domain = running("file", "a", path);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(pause_domain(domain), 0);
	fixture_write(path);
	assert_int_equal(resume_domain(domain, &err), LOCK_STALE);
	assert_non_null(strstr(err.text, "written without vmlatch"));
	domain_lock_free(domain);
}

/* W6: identity, not spelling. */
static void no_second_name_gives_a_second_owner(void **state)
{
	char path[128], name[160];
	struct domain_lock *domain;

	(void)state;
	strcpy(path, fixture_image("a"));
	domain = running("file", "a", path);
	assert_int_equal(link(path, fixture_path("hard")), 0);
	assert_int_equal(symlink(path, fixture_path("soft")), 0);
	snprintf(name, sizeof(name), "/%s", path);
	assert_int_equal(try_hold(name), LOCK_BUSY);
	assert_int_equal(try_hold(fixture_path("hard")), LOCK_BUSY);
	assert_int_equal(try_hold(fixture_path("soft")), LOCK_BUSY);
	assert_int_equal(try_hold(fixture_path("./a")), LOCK_BUSY);
	domain_lock_free(domain);
}

static void two_names_of_one_file_are_one_resource_of_the_vm(void **state)
{
	struct domain_lock *domain = new_domain("file", "a");
	char path[128], hard[128];

	(void)state;
	strcpy(path, fixture_image("a"));
	strcpy(hard, fixture_path("hard"));
	assert_int_equal(link(path, hard), 0);
	assert_int_equal(attach(domain, path, RESOURCE_READER, NULL), 0);
	assert_int_equal(attach(domain, hard, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(domain_lock_resources(domain)->n, 2); /* nobody has looked yet */
	assert_int_equal(start_domain(domain), 0);
	assert_int_equal(domain_lock_resources(domain)->n, 1);
	assert_int_equal(domain_lock_resources(domain)->items[0].mode, RESOURCE_EXCLUSIVE);
	assert_true(domain_lock_resources(domain)->items[0].id.ino != 0);
	domain_lock_free(domain);
}

static void a_refused_start_has_used_nothing(void **state)
{
	char mine[128], theirs[128];
	struct domain_lock *paused, *domain;
	struct peer peer;

	(void)state;
	strcpy(mine, fixture_image("mine"));
	strcpy(theirs, fixture_image("theirs"));
	paused = running("file", "p", mine);
	assert_int_equal(pause_domain(paused), 0);
	peer = peer_start("file", "b", theirs, RESOURCE_EXCLUSIVE);
	domain = new_domain("file", "a");
	assert_int_equal(attach(domain, mine, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(attach(domain, theirs, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(start_domain(domain), LOCK_BUSY);
	assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_REGISTERED);
	assert_int_equal(resume_domain(paused, NULL), 0); /* not busy, not stale */
	peer_stop(&peer);
	domain_lock_free(domain);
	domain_lock_free(paused);
}

static void to_wait_holds_nothing_and_gets_the_lock(void **state)
{
	char free_disk[128], busy_disk[128];
	struct domain_lock *domain = new_domain("file", "a");
	struct domain_lock_start late = { .wait_ms = 5000 };
	struct lock_conflict conflict;
	struct peer peer;
	pid_t pid;

	(void)state;
	strcpy(free_disk, fixture_image("1"));
	strcpy(busy_disk, fixture_image("2"));
	peer = peer_start("file", "b", busy_disk, RESOURCE_EXCLUSIVE);
	assert_int_equal(attach(domain, free_disk, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(attach(domain, busy_disk, RESOURCE_EXCLUSIVE, NULL), 0);
	pid = fork();
	if (pid == 0) {
		close(peer.socket); /* else the peer would not see its end */
		peer.result = domain_lock_process_start(domain, &late, &conflict, NULL);
		domain_lock_free(domain);
		_exit(peer.result);
	}
	clock_sleep_ms(100);
	assert_true(is_free(free_disk));
	assert_int_equal(waitpid(pid, NULL, WNOHANG), 0);
	peer_stop(&peer);
	assert_int_equal(waitpid(pid, &peer.result, 0), pid);
	assert_int_equal(peer.result, 0);
	domain_lock_free(domain);
}

static void to_wait_ends_when_the_time_is_over(void **state)
{
	const char *path = fixture_image("a");
	struct peer peer = peer_start("file", "b", path, RESOURCE_EXCLUSIVE);
	struct domain_lock *domain = new_domain("file", "a");
	struct domain_lock_start late = { .wait_ms = 150 };
	int64_t began = clock_monotonic_ms();
	struct lock_conflict conflict;

	(void)state;
	assert_int_equal(attach(domain, path, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(domain_lock_process_start(domain, &late, &conflict, NULL), LOCK_BUSY);
	assert_true(clock_monotonic_ms() - began >= 150);
	assert_string_equal(conflict.holder.vm, "b");
	peer_stop(&peer);
	domain_lock_free(domain);
}

static void a_registered_vm_takes_its_locks_at_resume(void **state)
{
	const char *path = fixture_image("a");
	struct domain_lock *domain = new_domain("file", "a");
	struct domain_lock_start target = { .register_only = true, .pid = getpid() };
	_cleanup_(freep) char *text = NULL;

	(void)state;
	assert_int_equal(attach(domain, path, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(domain_lock_process_start(domain, &target, NULL, NULL), 0);
	assert_int_equal(domain_lock_state(domain), DOMAIN_LOCK_REGISTERED);
	assert_true(is_free(path));
	assert_int_equal(domain_lock_process_inquire(domain, &text, NULL), 0);
	assert_int_equal(strncmp(text, "registered file/1 disk,exclusive,free,", 38), 0);
	assert_int_equal(resume_domain(domain, NULL), 0);
	assert_int_equal(try_hold(path), LOCK_BUSY);
	domain_lock_free(domain);
}

#define in_fixture(test) \
	cmocka_unit_test_setup_teardown(test, lock_fixture_setup, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_fixture(a_vm_goes_through_its_life),
		in_fixture(an_unknown_driver_is_unavailable),
		in_fixture(a_failed_resume_holds_nothing),
		in_fixture(a_second_pause_keeps_the_saved_state),
		in_fixture(a_stale_resume_is_refused_until_it_is_forced),
		in_fixture(a_writer_without_vmlatch_makes_a_resume_stale),
		in_fixture(no_second_name_gives_a_second_owner),
		in_fixture(two_names_of_one_file_are_one_resource_of_the_vm),
		in_fixture(a_refused_start_has_used_nothing),
		in_fixture(to_wait_holds_nothing_and_gets_the_lock),
		in_fixture(to_wait_ends_when_the_time_is_over),
		in_fixture(a_registered_vm_takes_its_locks_at_resume),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
