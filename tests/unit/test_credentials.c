/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <grp.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/credentials.h"
#include "fault.h"

#define FIRST_GROUP 60000

struct rights {
	uid_t uid;
	gid_t gid;
	gid_t groups[NGROUPS_MAX];
	int n_groups;
};

/* Static: they are large. */
static struct rights ours, theirs, now;

static void rights_read(struct rights *ret)
{
	memset(ret, 0, sizeof(*ret));
	ret->uid = setfsuid(-1);
	ret->gid = setfsgid(-1);
	ret->n_groups = getgroups(NGROUPS_MAX, ret->groups);
}

static void assert_ours(void)
{
	rights_read(&now);
	assert_memory_equal(&now, &ours, sizeof(now));
}

/* From now on we are in so many groups. */
static void take_groups(int n)
{
	int i;

	for (i = 0; i < n; i++)
		now.groups[i] = FIRST_GROUP + i;
	assert_int_equal(setgroups(n, now.groups), 0);
	rights_read(&ours);
	assert_int_equal(ours.n_groups, n);
}

static struct credentials nobody_with(int n)
{
	int i;

	for (i = 0; i < n; i++)
		theirs.groups[i] = 2 * FIRST_GROUP + i;
	return (struct credentials){
		.change = true,
		.uid = 65534,
		.gid = 65533,
		.groups = theirs.groups,
		.n_groups = n,
	};
}

static void any_number_of_groups_comes_back(void **state)
{
	static const int numbers[] = { 0, 1, 64, 65, 200, NGROUPS_MAX };
	struct credentials_saved saved;
	struct error err = { 0 };
	size_t i;

	(void)state;
	if (geteuid() != 0)
		skip();
	for (i = 0; i < sizeof(numbers) / sizeof(numbers[0]); i++) {
		struct credentials nobody = nobody_with(numbers[i]);

		take_groups(numbers[i]);
		assert_int_equal(credentials_enter(&nobody, &saved, &err), 0);
		rights_read(&now);
		assert_int_equal(now.uid, 65534);
		assert_int_equal(now.gid, 65533);
		assert_int_equal(now.n_groups, numbers[i]);
		assert_memory_equal(now.groups, theirs.groups, numbers[i] * sizeof(gid_t));
		credentials_leave(&saved);
		assert_ours();
		credentials_leave(&saved);
		assert_ours();
	}
	take_groups(0);
}

static void expect_failure(const struct credentials *who, int code, const char *sentence)
{
	struct credentials_saved saved;
	struct error err = { 0 };

	assert_int_equal(credentials_enter(who, &saved, &err), code);
	assert_string_equal(err.text, sentence);
	assert_ours();
	credentials_leave(&saved);
	assert_ours();
}

static void a_failure_changes_nothing(void **state)
{
	struct credentials nobody = nobody_with(100);

	(void)state;
	if (geteuid() != 0)
		skip();
	take_groups(100);
	fault_always("calloc", ENOMEM);
	expect_failure(&nobody, -ENOMEM, "no memory for our 100 groups");
	fault_always(NULL, 0);
	nobody.n_groups = NGROUPS_MAX + 1; /* the kernel refuses before it reads them */
	expect_failure(&nobody, -EPERM, "may not take the groups of user 65534 (run as root)");
	nobody = nobody_with(100);
	nobody.uid = -1;
	expect_failure(&nobody, -EPERM, "may not open files as user 4294967295 (run as root)");
	take_groups(0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(any_number_of_groups_comes_back),
		cmocka_unit_test(a_failure_changes_nothing),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
