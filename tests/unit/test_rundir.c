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
#include <sys/stat.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/unit/made_up_state.h"
#include "tests/unit/rundir_support.h"

static void a_claim_makes_a_private_directory_and_remove_leaves_nothing(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	struct error err = { 0 };
	struct stat info;

	(void)state;
	assert_int_equal(claim(&rundir, &err), 0);
	assert_int_equal(stat(rundir.path, &info), 0);
	assert_int_equal(info.st_mode & 07777, 0700);
	assert_true(fcntl(rundir.lock_fd, F_GETFD) & FD_CLOEXEC);
	assert_string_equal(rundir.name, "web1");
	temporary_write(&place, "web1/junk", "x");
	rundir_remove(&rundir);
	assert_false(exists("web1"));
}

static void a_second_claim_names_the_first_ones_pid(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	struct error err = { 0 };
	char words[64];
	int ready;
	pid_t pid;

	(void)state;
	pid = start_child(claim_and_wait, &ready);
	wait_ready(ready);
	assert_int_equal(claim(&rundir, &err), RUNDIR_IN_USE);
	snprintf(words, sizeof(words), "VM 'web1' is already running (supervisor pid %d)", pid);
	assert_string_equal(err.text, words);
	assert_int_equal(err.status, EX_TEMPFAIL);
	rundir_finish(&rundir);
	end_child(pid);
	assert_int_equal(claim(&rundir, &err), 0); /* its death frees the name */
	rundir_remove(&rundir);
}

static void two_claims_in_one_process_exclude_each_other_too(void **state)
{
	_cleanup_(rundir_finish) struct rundir first = RUNDIR_INIT, second = RUNDIR_INIT;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(claim(&first, &err), 0);
	assert_int_equal(claim(&second, &err), RUNDIR_IN_USE);
	assert_null(second.path);
	rundir_remove(&first);
	assert_int_equal(claim(&second, &err), 0);
	rundir_remove(&second);
}

static int claim_and_remove_often(int ready)
{
	int i, ret;

	for (i = 0; i < 300; i++) {
		struct rundir rundir = RUNDIR_INIT;
		struct error err = { 0 };

		if (rundir_open(&rundir, true, &err) < 0)
			return 1;
		ret = rundir_claim(&rundir, "web1", &err);
		if (ret < 0)
			return 2;
		if (ret == 0) {
			/* whoever has it has it alone */
			int fd = openat(rundir.fd, "alone", O_CREAT | O_EXCL | O_CLOEXEC, 0600);

			if (fd < 0)
				return 3;
			close(fd);
			rundir_remove(&rundir);
		}
		rundir_finish(&rundir);
	}
	return write(ready, "1", 1) == 1 ? 0 : 4;
}

static void claims_and_removals_that_race_never_have_two_owners(void **state)
{
	int ready[3], i, status;
	pid_t pids[3];

	(void)state;
	for (i = 0; i < 3; i++)
		pids[i] = start_child(claim_and_remove_often, &ready[i]);
	for (i = 0; i < 3; i++) {
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		close(ready[i]);
		assert_true(WIFEXITED(status));
		assert_int_equal(WEXITSTATUS(status), 0);
	}
	assert_false(exists("web1"));
}

static void leftovers_of_a_dead_vm_go_and_its_end_is_recorded(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	_cleanup_(vm_state_finish) struct vm_state last = { 0 };
	struct error err = { 0 };
	int ready;
	pid_t pid;

	(void)state;
	pid = start_child(sleep_only, &ready);
	wait_ready(ready);
	leave_state(pid);
	temporary_write(&place, "web1/qmp.sock", "");
	end_child(pid);
	assert_int_equal(claim(&rundir, &err), 0);
	assert_false(exists("web1/qmp.sock"));
	assert_false(exists("web1/" STATE_FILE));
	assert_int_equal(vm_state_load(rundir.root_fd, "web1.last.json", &last, &err), 0);
	assert_true(last.ended);
	assert_false(last.end_from_qemu);
	assert_int_equal(last.end_status, EX_SOFTWARE);
	assert_string_equal(last.run_state, "gone");
	rundir_remove(&rundir);
	assert_true(exists("web1.last.json"));
}

static void an_end_that_was_written_is_kept_as_it_is(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	_cleanup_(vm_state_finish) struct vm_state before = { 0 }, last = { 0 };
	_cleanup_(freep) char *text = NULL;
	struct error err = { 0 };

	(void)state;
	made_up_state("web1", &before); /* ended by signal 9 */
	text = vm_state_to_text(&before);
	temporary_write(&place, "web1/" STATE_FILE, text);
	assert_int_equal(claim(&rundir, &err), 0);
	assert_int_equal(vm_state_load(rundir.root_fd, "web1.last.json", &last, &err), 0);
	assert_int_equal(last.end_status, -9);
	assert_true(last.end_from_qemu);
	rundir_remove(&rundir);
}

static void a_qemu_without_a_supervisor_keeps_the_name(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	struct vm_entry entry = { 0 };
	struct error err = { 0 };
	char words[64];
	int ready;
	pid_t pid;

	(void)state;
	pid = start_child(sleep_only, &ready);
	wait_ready(ready);
	leave_state(pid);
	assert_int_equal(claim(&rundir, &err), RUNDIR_IN_USE);
	assert_non_null(strstr(err.text, "running unsupervised"));
	snprintf(words, sizeof(words), "'kill %d' ends it", pid);
	assert_non_null(strstr(err.text, words));
	assert_true(exists("web1/" STATE_FILE)); /* nothing is lost */
	assert_int_equal(rundir_look(&rundir, "web1", &entry), 0);
	assert_int_equal(entry.presence, VM_UNSUPERVISED);
	vm_entry_finish(&entry);
	end_child(pid);
	assert_int_equal(rundir_look(&rundir, "web1", &entry), 0);
	assert_int_equal(entry.presence, VM_GONE);
	vm_entry_finish(&entry);
}

static void a_state_of_an_earlier_boot_is_a_dead_vm(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	_cleanup_(vm_state_finish) struct vm_state vm = { 0 };
	_cleanup_(freep) char *text = NULL;
	struct error err = { 0 };

	(void)state;
	made_up_state("web1", &vm);
	vm.qemu.pid = getpid();
	process_start_time(getpid(), &vm.qemu.start_time);
	snprintf(vm.boot_id, sizeof(vm.boot_id), "%s", MADE_UP_INSTANCE);
	text = vm_state_to_text(&vm);
	temporary_write(&place, "web1/" STATE_FILE, text);
	assert_int_equal(claim(&rundir, &err), 0);
	rundir_remove(&rundir);
}

static void a_state_that_cannot_be_read_is_not_thrown_away(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	struct vm_entry entry = { 0 };
	struct error err = { 0 };

	(void)state;
	temporary_write(&place, "web1/" STATE_FILE, "{\"version\":9}");
	assert_true(claim(&rundir, &err) < 0);
	assert_int_equal(err.status, EX_CANTCREAT);
	assert_non_null(strstr(err.text, "it has version 9"));
	assert_non_null(strstr(err.text, place.path));
	assert_true(exists("web1/" STATE_FILE));
	assert_int_equal(rundir_look(&rundir, "web1", &entry), 0);
	assert_false(entry.readable);
	assert_non_null(strstr(entry.problem, "version 9"));
}

/* Each of these directories must be refused, and nothing be written through it. */
static void expect_hostile(const char *words)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	struct vm_entry entry = { 0 };
	struct error err = { 0 };

	open_rundir(&rundir);
	assert_true(rundir_claim(&rundir, "web1", &err) < 0);
	assert_int_equal(err.status, EX_CANTCREAT);
	if (!strstr(err.text, words))
		fail_msg("'%s' does not say '%s'", err.text, words);
	assert_int_equal(rundir_look(&rundir, "web1", &entry), -ENOENT);
}

static void hostile_directories_are_refused(void **state)
{
	_cleanup_(freep) char *path = temporary_path(&place, "web1");

	(void)state;
	temporary_write(&place, "elsewhere/x", "");
	assert_int_equal(symlink("elsewhere", path), 0);
	expect_hostile("web1");
	assert_false(exists("elsewhere/lock"));
	assert_int_equal(unlink(path), 0);

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(chmod(path, 0777), 0);
	expect_hostile("can be written by others");

	assert_int_equal(chmod(path, 0700), 0);
	if (geteuid() == 0) {
		assert_int_equal(chown(path, 65534, 65534), 0);
		expect_hostile("belongs to user 65534");
	}
	assert_int_equal(rmdir(path), 0);

	temporary_write(&place, "web1", "a file");
	expect_hostile("web1");
}

static void a_lock_file_that_is_none_is_refused(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	_cleanup_(freep) char *path = temporary_path(&place, "web1/lock");
	struct error err = { 0 };

	(void)state;
	temporary_write(&place, "web1/x", "");
	temporary_write(&place, "victim", "text");
	assert_int_equal(symlink("../victim", path), 0);
	assert_true(claim(&rundir, &err) < 0);
	rundir_finish(&rundir);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_true(claim(&rundir, &err) < 0);
	assert_non_null(strstr(err.text, "no regular file of ours"));
}

static void a_log_that_is_no_file_of_its_own_is_not_written(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	_cleanup_(freep) char *log = temporary_path(&place, "web1/log");
	_cleanup_(freep) char *victim = temporary_path(&place, "victim");
	struct error err = { 0 };
	int reader, fd;

	(void)state;
	assert_int_equal(claim(&rundir, &err), 0);
	temporary_write(&place, "victim", "text");
	assert_int_equal(symlink(victim, log), 0);
	assert_int_equal(rundir_open_log(&rundir), -ELOOP);
	assert_int_equal(unlink(log), 0);
	assert_int_equal(link(victim, log), 0);
	assert_int_equal(rundir_open_log(&rundir), -EPERM);
	assert_int_equal(unlink(log), 0);
	assert_int_equal(mkfifo(log, 0600), 0);
	assert_int_equal(rundir_open_log(&rundir), -ENXIO); /* it does not wait for a reader */
	reader = open(log, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	assert_int_equal(rundir_open_log(&rundir), -EPERM);
	close(reader);
	assert_int_equal(unlink(log), 0);
	fd = rundir_open_log(&rundir);
	assert_true(fd >= 0);
	close(fd);
	rundir_remove(&rundir);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rundir_set_up, rundir_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_claim_makes_a_private_directory_and_remove_leaves_nothing),
		TEST(a_second_claim_names_the_first_ones_pid),
		TEST(two_claims_in_one_process_exclude_each_other_too),
		TEST(claims_and_removals_that_race_never_have_two_owners),
		TEST(leftovers_of_a_dead_vm_go_and_its_end_is_recorded),
		TEST(an_end_that_was_written_is_kept_as_it_is),
		TEST(a_qemu_without_a_supervisor_keeps_the_name),
		TEST(a_state_of_an_earlier_boot_is_a_dead_vm),
		TEST(a_state_that_cannot_be_read_is_not_thrown_away),
		TEST(hostile_directories_are_refused),
		TEST(a_lock_file_that_is_none_is_refused),
		TEST(a_log_that_is_no_file_of_its_own_is_not_written),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
