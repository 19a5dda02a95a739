/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/account.h"
#include "base/cleanup.h"
#include "fault.h"
#include "fault_each.h"

static void a_name_is_found(void **state)
{
	_cleanup_(account_finish) struct account found = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(account_find("root", NULL, &found, &err), 0);
	assert_int_equal(found.uid, 0);
	assert_int_equal(found.gid, 0);
	assert_in_range(found.n_groups, 1, 64);
}

static void a_number_needs_no_account(void **state)
{
	_cleanup_(account_finish) struct account found = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(account_find("1234567", NULL, &found, &err), 0);
	assert_int_equal(found.uid, 1234567);
	assert_int_equal(found.gid, 1234567);
	assert_int_equal(found.n_groups, 0);
	assert_int_equal(account_find("1234567", "7654321", &found, &err), 0);
	assert_int_equal(found.uid, 1234567);
	assert_int_equal(found.gid, 7654321);
}

static void what_nobody_asked_for_is_our_own(void **state)
{
	struct account found = { .uid = 1 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(account_find(NULL, "7654321", &found, &err), 0);
	assert_int_equal(found.uid, geteuid());
	assert_int_equal(found.gid, 7654321);
	assert_null(found.groups);
}

static void expect_failure(const char *user, const char *group, int code, const char *sentence)
{
	struct account found = { .uid = 77 };
	struct error err = { 0 };

	assert_int_equal(account_find(user, group, &found, &err), code);
	assert_string_equal(err.text, sentence);
	assert_int_equal(found.uid, 77);
}

static void who_is_not_there_is_named(void **state)
{
	(void)state;
	expect_failure("no-such-user", NULL, -ENOENT, "there is no user 'no-such-user'");
	expect_failure(NULL, "no-such-group", -ENOENT, "there is no group 'no-such-group'");
	expect_failure("root", "no-such-group", -ENOENT, "there is no group 'no-such-group'");
	/* "as before", which is root */
	expect_failure("4294967295", NULL, -ENOENT, "there is no user '4294967295'");
	expect_failure(NULL, "4294967295", -ENOENT, "there is no group '4294967295'");
	expect_failure("-1", NULL, -ENOENT, "there is no user '-1'");
	expect_failure("", NULL, -ENOENT, "there is no user ''");
}

static void assert_nothing_left(size_t fds)
{
	assert_int_equal(fault_count_fds(), fds);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
}

static void nothing_is_left_behind(void **state)
{
	struct sigaction ignored = { .sa_handler = SIG_IGN }, before, after;
	size_t fds = fault_count_fds();

	(void)state;
	sigaction(SIGCHLD, &ignored, &before);
	a_name_is_found(NULL);
	expect_failure("no-such-user", NULL, -ENOENT, "there is no user 'no-such-user'");
	sigaction(SIGCHLD, &before, &after);
	assert_ptr_equal(after.sa_handler, SIG_IGN);
	a_name_is_found(NULL);
	assert_nothing_left(fds);
}

/* In either process. */
static void what_fails_has_a_sentence(void **state)
{
	size_t fds = fault_count_fds();

	(void)state;
	fault_always("malloc", ENOMEM);
	expect_failure("root", NULL, -ENOMEM, "user 'root': out of memory");
	fault_always(NULL, 0);
	fault_always("calloc", ENOMEM);
	expect_failure("root", "0", -ENOMEM, "user 'root': group '0': out of memory");
	fault_always(NULL, 0);
	assert_nothing_left(fds);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_name_is_found),
		cmocka_unit_test(a_number_needs_no_account),
		cmocka_unit_test(what_nobody_asked_for_is_our_own),
		cmocka_unit_test(who_is_not_there_is_named),
		cmocka_unit_test(nothing_is_left_behind),
		cmocka_unit_test(what_fails_has_a_sentence),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
