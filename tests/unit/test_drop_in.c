/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "launcher/binary.h"
#include "launcher/drop_in.h"
#include "launcher/libvirt.h"
#include "launcher/options.h"
#include "launcher/trace.h"
#include "temporary.h"

static struct temporary dir;

static int set_up(void **state)
{
	(void)state;
	return temporary_make(&dir);
}

static int tear_down(void **state)
{
	(void)state;
	temporary_remove(&dir);
	return 0;
}

static void names_of_qemus(void **state)
{
	(void)state;
	assert_true(drop_in_is_name("qemu-system-x86_64"));
	assert_true(drop_in_is_name("/opt/bin/qemu-system-aarch64"));
	assert_true(drop_in_is_name("./qemu-kvm"));
	assert_true(drop_in_is_name("kvm"));
	assert_false(drop_in_is_name("vmlatch"));
	assert_false(drop_in_is_name("qemu-img"));
	assert_false(drop_in_is_name("/qemu-system-x86_64/vmlatch"));
	assert_false(drop_in_is_name("kvm2"));
	assert_false(drop_in_is_name(""));
}

static void a_name_with_the_pid_always_has_it_whole(void **state)
{
	char name[VM_NAME_SIZE] = "web", expected[32];
	char longest[VM_NAME_SIZE];

	(void)state;
	snprintf(expected, sizeof(expected), "web-%d", getpid());
	vm_name_add_pid(name);
	assert_string_equal(name, expected);
	memset(longest, 'x', sizeof(longest) - 1);
	longest[sizeof(longest) - 1] = '\0';
	vm_name_add_pid(longest);
	assert_int_equal(strlen(longest), VM_NAME_SIZE - 1);
	assert_string_equal(longest + VM_NAME_SIZE - strlen(expected + 3) - 1, expected + 3);
	assert_true(vm_name_is_valid(longest));
}

static char *program(const char *name)
{
	char *path = temporary_path(&dir, name);

	temporary_write(&dir, name, "#!/bin/sh\n");
	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

/* A link to this very program, which stands for vmlatch here. */
static void link_to_us(const char *name)
{
	_cleanup_(freep) char *path = temporary_path(&dir, name);

	temporary_write(&dir, name, "");
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("/proc/self/exe", path), 0);
}

/* Its sub-directories a and b, with nothing between them. */
static void use_path(void)
{
	char text[512];

	snprintf(text, sizeof(text), "%s/a:/nowhere:%s/b", dir.path, dir.path);
	assert_int_equal(setenv("PATH", text, 1), 0);
}

static void the_real_one_is_behind_ourselves(void **state)
{
	_cleanup_(freep) char *real = program("b/qemu"), *found = NULL;
	struct strv none = { 0 };

	(void)state;
	link_to_us("a/qemu");
	use_path();
	assert_int_equal(binary_find_real("qemu", NULL, &none, &found, NULL), 0);
	assert_string_equal(found, real);
}

static void what_was_tried_is_not_tried_again(void **state)
{
	_cleanup_(freep) char *one = program("a/qemu"), *two = program("b/qemu"), *found = NULL;
	_cleanup_(strv_finish) struct strv tried = { 0 };
	struct error err = { 0 };

	(void)state;
	use_path();
	assert_int_equal(strv_add(&tried, one), 0);
	assert_int_equal(binary_find_real("qemu", NULL, &tried, &found, NULL), 0);
	assert_string_equal(found, two);
	assert_int_equal(strv_add(&tried, two), 0);
	free(take_ptr(found));
	assert_int_equal(binary_find_real("qemu", NULL, &tried, &found, &err), -ENOENT);
	assert_int_equal(err.status, 127);
	assert_string_equal(err.text, "qemu is not found: is QEMU installed, and in PATH?");
}

static void one_that_cannot_be_executed_is_passed_over_and_told(void **state)
{
	_cleanup_(freep) char *real = NULL, *found = NULL;
	struct strv none = { 0 };
	struct error err = { 0 };

	(void)state;
	temporary_write(&dir, "a/qemu", "");
	use_path();
	assert_int_equal(binary_find_real("qemu", NULL, &none, &found, &err), -EACCES);
	assert_int_equal(err.status, 126);
	real = program("b/qemu");
	assert_int_equal(binary_find_real("qemu", NULL, &none, &found, NULL), 0);
	assert_string_equal(found, real);
}

static void the_configured_one_is_a_program_or_a_directory(void **state)
{
	_cleanup_(freep) char *real = program("a/qemu"), *place = temporary_path(&dir, "a");
	_cleanup_(freep) char *us = temporary_path(&dir, "b/qemu"), *found = NULL;
	struct strv none = { 0 };
	struct error err = { 0 };

	(void)state;
	link_to_us("b/qemu");
	assert_int_equal(setenv("PATH", "/nowhere", 1), 0);
	assert_int_equal(binary_find_real("qemu", real, &none, &found, NULL), 0);
	assert_string_equal(found, real);
	free(take_ptr(found));
	assert_int_equal(binary_find_real("qemu", place, &none, &found, NULL), 0);
	assert_string_equal(found, real);
	free(take_ptr(found));
	assert_int_equal(binary_find_real("kvm", place, &none, &found, &err), -EACCES);
	assert_int_equal(err.status, EX_CONFIG);
	assert_int_equal(binary_find_real("qemu", us, &none, &found, &err), -ELOOP);
	assert_int_equal(err.status, EX_CONFIG);
	assert_non_null(strstr(err.text, "leads back to vmlatch"));
	assert_null(found);
}

static char *no_arguments[] = { "qemu", NULL };

/* As it is after an exec: the trace is found by its name. */
static void leave_trace(const char *binary)
{
	_cleanup_(trace_finish) struct trace trace = TRACE_INIT;

	assert_int_equal(trace_find(no_arguments, &trace, NULL), 0);
	assert_int_equal(trace_add(&trace, binary, NULL), 0);
	if (trace.fd >= 0) /* kept */
		assert_true(dup(trace.fd) >= 0);
}

static void close_traces(void)
{
	int fd;

	for (fd = 3; fd < 64; fd++) {
		char path[32], target[64];
		ssize_t len;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, target, sizeof(target) - 1);
		if (len > 0 && strncmp(target, "/memfd:vmlatch", 14) == 0)
			close(fd);
	}
}

static void a_trace_says_what_was_executed(void **state)
{
	_cleanup_(trace_finish) struct trace trace = TRACE_INIT;

	(void)state;
	leave_trace("/a/qemu");
	leave_trace("/b/qemu");
	assert_int_equal(trace_find(no_arguments, &trace, NULL), 0);
	assert_true(trace.fd >= 0);
	assert_false(trace.locked);
	assert_int_equal(trace.tried.n, 2);
	assert_string_equal(trace.tried.items[0], "/a/qemu");
	assert_string_equal(trace.tried.items[1], "/b/qemu");
	close_traces();
}

static void a_trace_of_another_process_is_not_meant(void **state)
{
	pid_t pid;
	int status;

	(void)state;
	leave_trace("/a/qemu");
	pid = fork();
	if (pid == 0) {
		struct trace trace = TRACE_INIT;

		_exit(trace_find(no_arguments, &trace, NULL) || trace.fd >= 0 || trace.tried.n);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close_traces();
}

/* The monitor's configuration, as it is inherited. */
static int leave_monitor(const char *binary)
{
	_cleanup_(str_finish) struct str text = { 0 };
	int fd = memfd_create(TRACE_MONITOR, 0);

	assert_int_equal(trace_text(binary, &text), 0);
	str_append(&text, "[chardev \"vmlatch\"]\n");
	assert_int_equal(fd_write_all(fd, text.text, text.len), 0);
	return fd;
}

static void a_monitor_that_is_handed_on_means_that_it_is_locked(void **state)
{
	_cleanup_(trace_finish) struct trace trace = TRACE_INIT;
	int fd = leave_monitor("/a/qemu");
	char given[32];
	char *argv[] = { "qemu", "-S", "-readconfig", given, NULL };
	int status;
	pid_t pid;

	(void)state;
	snprintf(given, sizeof(given), "/dev/fd/%d", fd);
	assert_int_equal(trace_find(argv, &trace, NULL), 0);
	assert_true(trace.locked);
	assert_int_equal(trace.tried.n, 1);
	pid = fork();
	if (pid == 0) { /* a script's child */
		struct trace its = TRACE_INIT;

		_exit(trace_find(argv, &its, NULL) || !its.locked || its.tried.n != 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	close_traces();
}

static void a_monitor_that_is_not_handed_on_locks_nothing(void **state)
{
	_cleanup_(trace_finish) struct trace trace = TRACE_INIT;
	char *argv[] = { "qemu", "-readconfig", "/dev/fd/0", NULL };

	(void)state;
	leave_monitor("/a/qemu");
	assert_int_equal(trace_find(argv, &trace, NULL), 0);
	assert_false(trace.locked);
	assert_int_equal(trace.tried.n, 1);
	close_traces();
}

static void scripts_are_passed_over_by_other_processes_too(void **state)
{
	char script[] = "/tmp/test_drop_in_XXXXXX";
	int fd = mkstemp(script), status;
	pid_t pid;

	(void)state;
	assert_int_equal(fd_write_all(fd, "#!/bin/sh\n", 10), 0);
	close(fd);
	leave_trace("/proc/self/exe");
	leave_trace(script);
	pid = fork();
	if (pid == 0) {
		struct trace its = TRACE_INIT;

		_exit(trace_find(no_arguments, &its, NULL) || its.locked || its.fd >= 0 ||
			its.tried.n != 1 || strcmp(its.tried.items[0], script) != 0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	unlink(script);
	close_traces();
}

static void a_monitor_without_our_words_is_somebody_elses(void **state)
{
	_cleanup_(trace_finish) struct trace trace = TRACE_INIT;
	int fd = memfd_create(TRACE_MONITOR, 0);

	(void)state;
	assert_int_equal(fd_write_all(fd, "# tried /a\n", 11), 0);
	assert_int_equal(trace_find(no_arguments, &trace, NULL), 0);
	assert_false(trace.locked);
	assert_int_equal(trace.tried.n, 0);
	close_traces();
}

static size_t look_at_libvirt(const char *conf, const char *monitor)
{
	char *argv[] = { "qemu", "-mon", (char *)monitor, NULL };
	_cleanup_(strv_finish) struct strv warnings = { 0 };

	temporary_write(&dir, "etc/libvirt/qemu.conf", conf);
	assert_int_equal(libvirt_look(argv, dir.path, &warnings), 0);
	if (warnings.n)
		assert_non_null(strstr(warnings.items[0], "lock_manager = \"lockd\""));
	return warnings.n;
}

static void libvirts_lock_manager_is_noticed(void **state)
{
	static const char its_own[] = "chardev=charmonitor,id=monitor,mode=control";

	(void)state;
	assert_int_equal(look_at_libvirt("lock_manager = \"lockd\"\n", its_own), 1);
	assert_int_equal(look_at_libvirt("\tlock_manager='lockd'", its_own), 1);
	assert_int_equal(
		look_at_libvirt("lock_manager=\"nop\"\nlock_manager=\"lockd\"\n", its_own), 1);
	assert_int_equal(look_at_libvirt("lock_manager = \"nop\"\n", its_own), 0);
	assert_int_equal(look_at_libvirt("#lock_manager = \"lockd\"\n", its_own), 0);
	assert_int_equal(look_at_libvirt("lock_manager = \"lockd\n", its_own), 0);
	assert_int_equal(look_at_libvirt("", its_own), 0);
	assert_int_equal(look_at_libvirt("lock_manager = \"lockd\"\n", "chardev=mine"), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(names_of_qemus),
		TEST(a_name_with_the_pid_always_has_it_whole),
		TEST(the_real_one_is_behind_ourselves),
		TEST(what_was_tried_is_not_tried_again),
		TEST(one_that_cannot_be_executed_is_passed_over_and_told),
		TEST(the_configured_one_is_a_program_or_a_directory),
		TEST(libvirts_lock_manager_is_noticed),
		TEST(a_trace_says_what_was_executed),
		TEST(a_trace_of_another_process_is_not_meant),
		TEST(a_monitor_that_is_handed_on_means_that_it_is_locked),
		TEST(a_monitor_that_is_not_handed_on_locks_nothing),
		TEST(scripts_are_passed_over_by_other_processes_too),
		TEST(a_monitor_without_our_words_is_somebody_elses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
