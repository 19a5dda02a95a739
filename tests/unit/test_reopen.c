/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "chain_fixture.h"
#include "launcher/disks/reopen.h"

/* "@" in the words is the test's directory; @reason: how the only one begins, "": there is none. */
static void expect(const char *words, const char *reason)
{
	_cleanup_(disks_finish) struct disks disks = { 0 };
	_cleanup_(strv_finish) struct strv reasons = { 0 };
	_cleanup_(str_finish) struct str text = { 0 };
	struct error err = { 0 };

	for (; *words; words++) {
		if (*words == '@')
			str_printf(&text, "%s", chain_directory);
		else
			str_printf(&text, "%c", *words);
	}
	assert_int_equal(chain_find(text.text, &disks, &err), 0);
	assert_int_equal(reopen_judge(&disks, &reasons, &err), 0);
	assert_int_equal(reasons.n, *reason ? 1 : 0);
	if (*reason && strncmp(reasons.items[0], reason, strlen(reason)) != 0)
		fail_msg("%s: %s", text.text, reasons.items[0]);
}

static void names_that_stay_what_they_are_are_no_obstacle(void **state)
{
	(void)state;
	chain_put_raw("a");
	expect("-hda a", "");
	expect("-hda @/a", "");
	expect("-daemonize -hda @/a", "");
	expect("-daemonize", "");
}

/* Below a new root a name is looked up with openat2(), which valgrind 3.19 does not know. */
static bool has_openat2(void)
{
	return syscall(SYS_openat2, -1, "", NULL, 0) >= 0 || errno != ENOSYS;
}

static void the_same_root_is_no_obstacle(void **state)
{
	(void)state;
	if (!has_openat2())
		skip();
	chain_put_raw("a");
	expect("-chroot / -hda @/a", "");
	expect("-run-with chroot=/ -hda @/a", "");
}

static void names_that_relate_to_the_directory_are(void **state)
{
	(void)state;
	chain_put_raw("a");
	expect("-daemonize -hda a", "-daemonize: QEMU leaves");
	expect("-chroot / -hda a", "-chroot: QEMU leaves");
	expect("-run-with chroot=/ -hda a", "-chroot: QEMU leaves");
}

/* "root/" with what QEMU needs there, and "a" and "b" where they are in "/". */
static void put_root(void)
{
	char path[128];

	assert_int_equal(mkdir("root", 0755), 0);
	assert_int_equal(mkdir("root/dev", 0755), 0);
	assert_int_equal(mknod("root/dev/null", S_IFCHR | 0666, makedev(1, 3)), 0);
	assert_int_equal(mkdir("root/tmp", 0755), 0);
	snprintf(path, sizeof(path), "root%s", chain_directory);
	assert_int_equal(mkdir(path, 0755), 0);
}

static void link_below_root(const char *name)
{
	char path[128];

	snprintf(path, sizeof(path), "root%s/%s", chain_directory, name);
	assert_int_equal(link(name, path), 0);
}

/* QEMU may have opened it by either. */
static void each_name_of_an_image_counts(void **state)
{
	(void)state;
	if (geteuid() != 0 || !has_openat2())
		skip();
	chain_put_raw("a");
	assert_int_equal(link("a", "b"), 0);
	put_root();
	expect("-chroot @/root -hda @/a", "-chroot: /");
	link_below_root("a");
	expect("-chroot @/root -hda @/a", "");
	expect("-chroot @/root -hda @/b", "-chroot: /");
	expect("-chroot @/root -hda @/a -hdb @/b", "-chroot: /");
	link_below_root("b");
	expect("-chroot @/root -hda @/a -hdb @/b", "");
}

static void a_descriptors_name_is_nothing_below_a_new_root(void **state)
{
	char words[64];
	int fd;

	(void)state;
	chain_put_raw("a");
	fd = open("a", O_RDWR); /* not close-on-exec: QEMU inherits it */
	snprintf(words, sizeof(words), "-chroot / -hda /dev/fd/%d", fd);
	expect(words, "-chroot: an image is named by a descriptor");
	expect(words + strlen("-chroot / "), "");
	close(fd);
}

static void names_are_looked_up_below_the_new_root(void **state)
{
	(void)state;
	chain_put_raw("a");
	expect("-chroot @ -hda @/a", "-chroot: /");
	expect("-chroot @/none -hda @/a", "-chroot: /");
	expect("-run-with user=0,chroot=@ -hda @/a", "-chroot: /");
	/* read only, it is not opened again; but there is no /dev/null */
	expect("-chroot @ -drive file=@/a,readonly=on", "-chroot: there is no /dev/null");
	expect("-chroot @", "-chroot: there is no /dev/null");
}

static void a_user_must_be_able_to_write(void **state)
{
	(void)state;
	if (geteuid() != 0)
		skip();
	assert_int_equal(chmod(chain_directory, 0711), 0);
	chain_put_raw("a");
	assert_int_equal(chmod("a", 0600), 0);
	expect("-runas nobody -hda @/a", "-runas: /");
	expect("-run-with user=nobody -hda @/a", "-runas: /");
	expect("-runas 65534:65534 -hda @/a", "-runas: /");
	expect("-runas 0xfffe:0177776 -hda @/a", "-runas: /"); /* QEMU has bases */
	expect("-runas root -hda @/a", "");
	expect("-runas 0:0 -hda @/a", "");
	/* QEMU refuses */
	expect("-runas no-such-user -hda @/a", "");
	expect("-runas nobody:nogroup -hda @/a", "");
	expect("-runas 65534: -hda @/a", "");
	expect("-runas 65534:65534: -hda @/a", "");
	expect("-runas 65534:4294967295 -hda @/a", "");
	assert_int_equal(chmod("a", 0644), 0);
	expect("-runas nobody -hda @/a", "-runas: /");
	expect("-runas nobody -drive file=@/a,readonly=on", "");
	assert_int_equal(chmod("a", 0666), 0);
	expect("-runas nobody -hda @/a", "");
	/* memory that VMs share is no block node */
	chain_put_raw("m");
	expect("-runas nobody -object memory-backend-file,id=m,share=on,mem-path=@/m,size=512 "
	       "-device ivshmem-plain,memdev=m",
		"");
	assert_int_equal(geteuid(), 0);
	assert_int_equal(access("/etc/shadow", R_OK), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			names_that_stay_what_they_are_are_no_obstacle, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			the_same_root_is_no_obstacle, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			names_that_relate_to_the_directory_are, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			names_are_looked_up_below_the_new_root, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			each_name_of_an_image_counts, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(a_descriptors_name_is_nothing_below_a_new_root,
			chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			a_user_must_be_able_to_write, chain_setup, chain_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
