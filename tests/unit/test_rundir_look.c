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
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/vm_holder.h"
#include "tests/unit/made_up_state.h"
#include "tests/unit/rundir_support.h"

static void looking_disturbs_no_claim_and_sees_it(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	struct error err = { 0 };
	int ready, i;
	pid_t pid;

	(void)state;
	pid = start_child(claim_and_wait, &ready);
	wait_ready(ready);
	open_rundir(&rundir);
	for (i = 0; i < 3; i++) {
		struct vm_entry entry = { 0 };

		assert_int_equal(rundir_look(&rundir, "web1", &entry), 0);
		assert_int_equal(entry.presence, VM_SUPERVISED);
		assert_false(entry.readable);
		assert_string_equal(entry.problem, "it is just starting");
		vm_entry_finish(&entry);
	}
	rundir_finish(&rundir);
	assert_int_equal(claim(&rundir, &err), RUNDIR_IN_USE);
	end_child(pid);
}

static void the_list_has_the_vms_by_name_and_nothing_else(void **state)
{
	_cleanup_(rundir_finish) struct rundir web1 = RUNDIR_INIT, alpha = RUNDIR_INIT;
	struct vm_entry *entries = NULL;
	struct error err = { 0 };
	size_t n = 0, i;

	(void)state;
	assert_int_equal(claim(&web1, &err), 0);
	open_rundir(&alpha);
	assert_int_equal(rundir_claim(&alpha, "alpha", &err), 0);
	temporary_write(&place, "file", "x");
	temporary_write(&place, "old.last.json", "x");
	temporary_write(&place, "odd name/x", "x");
	assert_int_equal(rundir_list(&web1, &entries, &n, &err), 0);
	assert_int_equal(n, 2);
	assert_string_equal(entries[0].name, "alpha");
	assert_string_equal(entries[1].name, "web1");
	for (i = 0; i < n; i++)
		vm_entry_finish(&entries[i]);
	free(entries);
}

static void a_vm_that_ended_is_known_by_its_end_record(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	_cleanup_(vm_state_finish) struct vm_state vm = { 0 };
	struct vm_entry entry = { 0 };
	struct error err = { 0 };

	(void)state;
	open_rundir(&rundir);
	assert_int_equal(rundir_look(&rundir, "web1", &entry), -ENOENT);
	made_up_state("web1", &vm);
	assert_int_equal(rundir_claim(&rundir, "web1", &err), 0);
	assert_int_equal(rundir_save_end(&rundir, &vm, &err), 0);
	rundir_remove(&rundir);
	assert_int_equal(rundir_look(&rundir, "web1", &entry), 0);
	assert_int_equal(entry.presence, VM_GONE);
	assert_true(entry.readable);
	vm_entry_finish(&entry);
	assert_int_equal(rundir_look(&rundir, "../web1", &entry), -ENOENT);
}

static void another_vms_state_is_not_believed(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	_cleanup_(vm_state_finish) struct vm_state vm = { 0 };
	_cleanup_(freep) char *text = NULL;
	struct vm_entry entry = { 0 };

	(void)state;
	made_up_state("web2", &vm);
	text = vm_state_to_text(&vm);
	temporary_write(&place, "web1/" STATE_FILE, text);
	open_rundir(&rundir);
	assert_int_equal(rundir_look(&rundir, "web1", &entry), 0);
	assert_false(entry.readable);
	assert_string_equal(entry.problem, "state.json is another VM's");
}

static void put_state(const char *name, uint64_t ino)
{
	_cleanup_(vm_state_finish) struct vm_state vm = { 0 };
	_cleanup_(freep) char *text = NULL, *path = NULL;

	made_up_state(name, &vm);
	vm.resources.items[0].id.ino = ino;
	text = vm_state_to_text(&vm);
	assert_true(asprintf(&path, "%s/" STATE_FILE, name) > 0);
	temporary_write(&place, path, text);
}

static void a_disks_users_are_those_whose_state_names_it(void **state)
{
	static const struct resource_identity disk = { UINT64_MAX, 12 };
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	struct vm_entry *entries = NULL;
	size_t n = 0;

	(void)state;
	put_state("web1", 1);
	put_state("web2", 12);
	put_state("web3", 2);
	temporary_write(&place, "web4/" STATE_FILE, "{");
	open_rundir(&rundir);
	assert_int_equal(rundir_list_users(&rundir, &disk, &entries, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(entries[0].name, "web2");
	assert_true(entries[0].readable);
	entries[0].presence = VM_SUPERVISED;
	assert_ptr_equal(vm_holder_find(entries, n, &disk), &entries[0]);
	vm_entry_finish(&entries[0]);
	free(entries);
}

static void a_disk_of_which_no_identity_is_known_is_nobodys(void **state)
{
	static const struct resource_identity disk = { 1, 12 };
	struct vm_entry entry = { .presence = VM_SUPERVISED, .readable = true };

	(void)state;
	made_up_state("web1", &entry.state);
	entry.state.resources.items[1].id = (struct resource_identity){ 0 };
	assert_null(vm_holder_find(&entry, 1, &disk));
	vm_entry_finish(&entry);
}

static void a_runtime_directory_that_was_asked_for_is_used_or_refused(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(chmod(place.path, 0777), 0);
	assert_true(rundir_open(&rundir, true, &err) < 0);
	assert_int_equal(err.status, EX_CANTCREAT);
	assert_non_null(strstr(err.text, place.path));
	assert_int_equal(chmod(place.path, 0700), 0);
	temporary_remove(&place);
	assert_int_equal(rundir_open(&rundir, false, &err), -ENOENT);
	assert_int_equal(rundir_open(&rundir, true, &err), 0);
	assert_string_equal(rundir.root, place.path);
}

static void of_the_other_places_the_first_that_works_is_taken(void **state)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	_cleanup_(freep) char *service = temporary_path(&place, "service");
	_cleanup_(freep) char *list = NULL;
	struct error err = { 0 };

	(void)state;
	unsetenv("VMLATCH_RUNTIME_DIR");
	assert_true(asprintf(&list, "%s:/run/other", service) > 0);
	setenv("RUNTIME_DIRECTORY", list, 1);
	assert_int_equal(rundir_open(&rundir, true, &err), 0);
	assert_string_equal(rundir.root, service);
	unsetenv("RUNTIME_DIRECTORY");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, rundir_set_up, rundir_tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(looking_disturbs_no_claim_and_sees_it),
		TEST(the_list_has_the_vms_by_name_and_nothing_else),
		TEST(a_vm_that_ended_is_known_by_its_end_record),
		TEST(another_vms_state_is_not_believed),
		TEST(a_disks_users_are_those_whose_state_names_it),
		TEST(a_disk_of_which_no_identity_is_known_is_nobodys),
		TEST(a_runtime_directory_that_was_asked_for_is_used_or_refused),
		TEST(of_the_other_places_the_first_that_works_is_taken),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
