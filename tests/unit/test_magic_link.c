/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "chain_fixture.h"
#include "launcher/disks/magic_link.h"

/* Both ways of looking, in the test's own directory. */
static void expect(const char *path, int wanted)
{
	int told = magic_link_look(path), by_hand = magic_link_look_by_hand(path);

	if (told != wanted || by_hand != wanted)
		fail_msg("%s: %d, by hand %d, not %d", path, told, by_hand, wanted);
}

static void links_that_only_a_process_has_are_found(void **state)
{
	static const char *const names[] = { "/proc/self/cwd", "/proc/self/cwd/base",
		"/proc/self/root/etc/passwd", "/proc/self/exe", "/proc/thread-self/cwd/base",
		"/proc/self/ns/mnt", "/proc/self/task/../cwd/base", "/proc/self/fd/%d",
		"/dev/fd/%d", "../../../../dev/fd//./%d", "link", "link/base", "sub/up/link/base" };
	char name[128];
	int base;
	size_t i;

	(void)state;
	chain_put_raw("base");
	base = open("base", O_RDONLY | O_CLOEXEC);
	assert_int_equal(symlink("/proc/self/cwd", "link"), 0);
	assert_int_equal(mkdir("sub", 0755), 0);
	assert_int_equal(symlink("..", "sub/up"), 0);
	for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
		snprintf(name, sizeof(name), names[i], base);
		expect(name, MAGIC_LINK_FOUND);
	}
	close(base);
}

static void names_and_links_with_a_text_are_none(void **state)
{
	static const char *const names[] = { "base", "./base", "/", "/etc/passwd", "/etc/../etc//",
		"link", "to-sub/link", "to-sub/../base", "/proc/self", "/proc/self/stat",
		"/proc/mounts", "/proc/thread-self/stat", "/proc/net/dev", "/dev/fd",
		"/proc/self/../../etc/passwd", "to-proc/self/stat" };
	char absolute[128];
	size_t i;

	(void)state;
	snprintf(absolute, sizeof(absolute), "%s/sub/", chain_directory);
	chain_put_raw("base");
	assert_int_equal(mkdir("sub", 0755), 0);
	assert_int_equal(symlink(absolute, "to-sub"), 0);
	assert_int_equal(symlink("../base", "sub/link"), 0);
	assert_int_equal(symlink("to-sub/link", "link"), 0);
	assert_int_equal(symlink("/proc", "to-proc"), 0);
	for (i = 0; i < sizeof(names) / sizeof(*names); i++)
		expect(names[i], MAGIC_LINK_NONE);
}

static void what_cannot_be_looked_up_is_an_error(void **state)
{
	(void)state;
	chain_put_raw("base");
	assert_int_equal(symlink("nowhere", "dangling"), 0);
	expect("nowhere", -ENOENT);
	expect("dangling", -ENOENT);
	expect("base/below", -ENOTDIR);
	expect("nowhere/../base", -ENOENT);
}

/* A link to a link to ...: as many as the kernel follows, and one more. */
static void links_without_end_are_not_followed(void **state)
{
	char from[16], to[16] = "base";
	int i;

	(void)state;
	chain_put_raw("base");
	for (i = 1; i <= 41; i++) {
		snprintf(from, sizeof(from), "%d", i);
		assert_int_equal(symlink(to, from), 0);
		memcpy(to, from, sizeof(to));
	}
	assert_int_equal(symlink("loop", "loop"), 0);
	expect("40", MAGIC_LINK_NONE);
	assert_int_equal(magic_link_look_by_hand("41"), -ELOOP);
	assert_int_equal(magic_link_look_by_hand("loop"), -ELOOP);
	assert_int_not_equal(magic_link_look("41"), MAGIC_LINK_NONE); /* by openat2() magic */
}

/* Long links behind each other: together they are longer than a path may be. */
static void a_name_may_grow_by_its_links(void **state)
{
	static const char links[] = "xyz";
	char target[4000] = ".";
	size_t i;

	(void)state;
	chain_put_raw("base");
	memset(target + 1, '/', sizeof(target) - 3);
	for (i = 0; links[i]; i++) {
		target[sizeof(target) - 2] = i ? links[i - 1] : '.';
		assert_int_equal(symlink(target, (char[]){ links[i], '\0' }), 0);
	}
	expect("z/base", MAGIC_LINK_NONE);
	expect("z/z/z/base", MAGIC_LINK_NONE);
}

/* openat2() fails from now on, as where the kernel or a filter does not know it. */
static int forbid_openat2(int number)
{
	struct sock_filter rows[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, SYS_openat2, 0, 1),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | (unsigned)number),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
	};
	struct sock_fprog program = { .len = sizeof(rows) / sizeof(*rows), .filter = rows };

	return prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0 ||
	       prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program) < 0;
}

/* The child's part: 0 if all is as it should be, else which part is not. */
static int look_without_openat2(int number)
{
	if (forbid_openat2(number))
		return 1;
	/* below valgrind 3.19 there is none to begin with */
	if (syscall(SYS_openat2, AT_FDCWD, ".", NULL, 0) == 0 ||
		(errno != number && errno != ENOSYS))
		return 2;
	if (magic_link_look("base") != MAGIC_LINK_NONE)
		return 3;
	if (magic_link_look("/proc/self/cwd/base") != MAGIC_LINK_FOUND)
		return 4;
	return magic_link_look("nowhere") == -ENOENT ? 0 : 5;
}

static void without_openat2_they_are_found_too(void **state)
{
	static const int numbers[] = { ENOSYS, EPERM, EACCES, EAGAIN, E2BIG };
	size_t i;
	int status;

	(void)state;
	chain_put_raw("base");
	for (i = 0; i < sizeof(numbers) / sizeof(*numbers); i++) {
		pid_t pid = fork();

		if (pid == 0)
			_exit(look_without_openat2(numbers[i]));
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			links_that_only_a_process_has_are_found, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			names_and_links_with_a_text_are_none, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			what_cannot_be_looked_up_is_an_error, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			links_without_end_are_not_followed, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			a_name_may_grow_by_its_links, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			without_openat2_they_are_found_too, chain_setup, chain_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
