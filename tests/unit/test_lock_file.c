/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <grp.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "lock_fixture.h"
#include "locking/lock_file_access.h"

/* Who may lock a lock file. */

#define NOBODY 65534

/* One that somebody has just made. 0: it came out with these rights. */
static int make_as_nobody(const struct lock_file_access *access, mode_t expected)
{
	_cleanup_(closep) int fd = -1;
	struct stat info;

	if (geteuid() == 0 && (setgroups(0, NULL) < 0 || setgid(NOBODY) < 0 || setuid(NOBODY) < 0))
		return 2;
	fd = memfd_create("lock file", MFD_CLOEXEC);
	if (fd < 0 || fchmod(fd, 0600) < 0 || fstat(fd, &info) < 0)
		return 3;
	lock_file_access_set(access, fd, &info);
	if (fstat(fd, &info) < 0)
		return 4;
	return (info.st_mode & 07777) != expected;
}

static int make_for_anothers_group(const char *path)
{
	const struct lock_file_access access = { .mode = 0664, .owner = -1, .group = 4242 };

	(void)path;
	return make_as_nobody(&access, 0604);
}

static int make_for_ones_own(const char *path)
{
	const struct lock_file_access access = { .mode = 0660, .owner = -1, .group = -1 };

	(void)path;
	return make_as_nobody(&access, 0660);
}

static void who_cannot_give_it_its_group_gives_no_other_group_the_rights(void **state)
{
	(void)state;
	assert_int_equal(in_child(make_for_anothers_group, ""), 0);
	assert_int_equal(in_child(make_for_ones_own, ""), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(who_cannot_give_it_its_group_gives_no_other_group_the_rights),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
