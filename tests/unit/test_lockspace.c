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
#include <unistd.h>

#include "base/cleanup.h"
#include "lockspace_helpers.h"

static void a_disk_has_a_lock_file_with_virtlockds_name_and_byte(void **state)
{
	struct lock *lock = holder_of(image, RESOURCE_EXCLUSIVE);
	struct stat info;

	(void)state;
	assert_int_equal(stat(lock_file(image), &info), 0);
	assert_int_equal(info.st_mode & 0777, 0600);
	assert_int_equal(lock_seen(lock_file(image), 0), F_WRLCK);
	assert_int_equal(lock_seen(lock_file(image), 2), F_WRLCK);
	assert_int_equal(lock_seen(image, 0), F_WRLCK);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(lock_seen(lock_file(image), 0), F_UNLCK);
	assert_int_equal(lock_seen(lock_file(image), 2), F_UNLCK);
	lock_manager_free(lock);
}

static void every_spelling_has_its_lock_file(void **state)
{
	char link_path[128], other[160];
	struct lock *lock;

	(void)state;
	strcpy(link_path, fixture_path("link.img"));
	snprintf(other, sizeof(other), "%s/../disk.img", space);
	assert_int_equal(symlink(image, link_path), 0);
	lock = vm_on("a", "host-a");
	add(lock, link_path, RESOURCE_EXCLUSIVE);
	add(lock, other, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_seen(lock_file(image), 0), F_WRLCK); /* the canonical one */
	assert_int_equal(lock_seen(lock_file(link_path), 0), F_WRLCK);
	assert_int_equal(lock_seen(lock_file(other), 0), F_WRLCK);
	lock_manager_free(lock);
}

static void by_identity_it_is_one_file_for_all_names(void **state)
{
	char name[160], second[128];
	struct stat info;
	struct lock *lock;

	(void)state;
	strcpy(second, fixture_path("hard.img"));
	assert_int_equal(link(image, second), 0);
	assert_int_equal(stat(image, &info), 0);
	params = fixture_params("a");
	params.lockspace = space;
	params.lockspace_by_identity = true;
	assert_int_equal(lock_manager_new(lock_manager_find("file"), &params, &lock, NULL), 0);
	add(lock, second, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	snprintf(name, sizeof(name), "%s/ino-%llu", space, (unsigned long long)info.st_ino);
	assert_int_equal(lock_seen(name, 0), F_WRLCK);
	assert_int_not_equal(access(lock_file(second), F_OK), 0);
	lock_manager_free(lock);
}

/* On another host the locks on the image itself may not be seen: only the lock file is. */
static void a_holder_on_another_host_is_named_by_the_lock_files_record(void **state)
{
	struct lock *first = holder_of(image, RESOURCE_EXCLUSIVE), *second;
	char elsewhere[128];
	struct error err;

	(void)state;
	/* the same path there, another file: a different mount of the same name */
	strcpy(elsewhere, fixture_path("elsewhere"));
	assert_int_equal(rename(image, elsewhere), 0);
	fixture_image("disk.img");
	second = vm_on("b", "host-b");
	add(second, image, RESOURCE_EXCLUSIVE);
	assert_int_equal(acquire(second, &err), LOCK_BUSY);
	assert_non_null(strstr(err.text, "is in use by VM 'a' (host host-a, pid "));
	assert_int_equal(lock_seen(image, 0), F_UNLCK); /* all or nothing */
	lock_manager_free(first);
	assert_int_equal(acquire(second, &err), 0);
	lock_manager_free(second);
}

static void the_record_stands_in_the_lock_file_too(void **state)
{
	struct lock *lock = holder_of(image, RESOURCE_EXCLUSIVE);
	_cleanup_(freep) char *text = get(lock_file(image));
	_cleanup_(freep) char *after = NULL;

	(void)state;
	assert_non_null(strstr(text, "vmlatch 1 gen=1 "));
	assert_non_null(strstr(text, " held=1 "));
	assert_non_null(strstr(text, " host=host-a vm=a\n"));
	assert_true(record_says(image, " host=host-a vm=a"));
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	after = get(lock_file(image));
	assert_non_null(strstr(after, " held=0 "));
	lock_manager_free(lock);
}

static void the_generation_is_above_every_place(void **state)
{
	struct lock *lock = new_lock("b"); /* without the lockspace */
	_cleanup_(freep) char *text = NULL;

	(void)state;
	add(lock, image, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_arm(lock, NULL), 0);
	lock_manager_free(lock);
	lock = holder_of(image, RESOURCE_EXCLUSIVE);
	text = get(lock_file(image));
	assert_non_null(strstr(text, "gen=2 "));
	assert_true(record_says(image, "gen=2 "));
	lock_manager_free(lock);
}

/* Give back, let @change happen, take again: what verify says. */
static int resumed_after(void (*change)(void), struct error *err)
{
	struct lock *lock = holder_of(image, RESOURCE_EXCLUSIVE);
	_cleanup_(freep) char *saved = saved_of(lock);
	int ret;

	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	change();
	assert_int_equal(acquire(lock, err), 0);
	ret = lock_manager_verify(lock, saved, err);
	lock_manager_free(lock);
	return ret;
}

static void change_nothing(void)
{
}

static void remove_lock_file(void)
{
	assert_int_equal(unlink(lock_file(image)), 0);
}

static void empty_lock_file(void)
{
	assert_int_equal(truncate(lock_file(image), 0), 0);
}

static void garble_lock_file(void)
{
	put(lock_file(image), "\033]0;nonsense");
}

static void fill_lock_file(void)
{
	int fd = open(lock_file(image), O_WRONLY | O_CLOEXEC);

	assert_int_equal(pwrite(fd, "vmlatch ", 8, 0), 8);
	assert_int_equal(ftruncate(fd, 1 << 30), 0);
	close(fd);
}

/* By host-b, which has the same path, and another file there: only the lock file is shared. */
static void use_elsewhere(void)
{
	struct lock *other = vm_on("b", "host-b");
	char moved[128];

	strcpy(moved, fixture_path("moved"));
	assert_int_equal(rename(image, moved), 0);
	fixture_image("disk.img");
	add(other, image, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(other, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_arm(other, NULL), 0);
	lock_manager_free(other);
	assert_int_equal(rename(moved, image), 0);
}

static void a_lock_file_that_is_not_what_it_was_is_stale(void **state)
{
	static const struct {
		void (*change)(void);
		int ret;
		const char *words;
	} cases[] = {
		{ change_nothing, 0, "" },
		{ remove_lock_file, LOCK_STALE, "its record is gone" },
		{ empty_lock_file, LOCK_STALE, "its record is gone" },
		{ garble_lock_file, LOCK_STALE, "its record is gone" },
		{ fill_lock_file, LOCK_STALE, "its record is gone" },
		{ use_elsewhere, LOCK_STALE, "VM 'b' (host host-b" },
	};
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		if (resumed_after(cases[i].change, &err) != cases[i].ret ||
			!strstr(err.text, cases[i].words))
			fail_msg("case %zu: '%s'", i, err.text);
		unlink(lock_file(image));
	}
}

static void a_replaced_lock_file_is_locked_anew_and_said_to_be(void **state)
{
	struct lock *lock = holder_of(image, RESOURCE_EXCLUSIVE);
	struct error err;

	(void)state;
	assert_false(status_of(lock, image).reopened);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	remove_lock_file();
	assert_int_equal(acquire(lock, &err), 0);
	assert_int_equal(lock_seen(lock_file(image), 0), F_WRLCK);
	assert_true(status_of(lock, image).reopened);
	lock_manager_free(lock);
}

/* Of the lock file of its new name QEMU has no description. */
static void the_lock_file_of_a_new_name_is_said_to_be_new(void **state)
{
	struct lock *lock = holder_of(image, RESOURCE_EXCLUSIVE);
	char moved[128];
	struct error err;

	(void)state;
	strcpy(moved, fixture_path("moved.img"));
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(rename(image, moved), 0);
	assert_int_equal(symlink(moved, image), 0);
	assert_int_equal(acquire(lock, &err), 0);
	assert_int_equal(lock_seen(lock_file(moved), 0), F_WRLCK);
	assert_true(status_of(lock, image).reopened);
	lock_manager_free(lock);
}

/* The highest number that can be read is followed by one that can be read, too. */
static void a_generation_comes_round(void **state)
{
	struct lock *lock;
	_cleanup_(freep) char *text = NULL;

	(void)state;
	put(lock_file(image),
		"vmlatch 1 gen=9223372036854775807 id=1:2 held=0 since=1 pid=1 start=1 "
		"instance=6ba7b810-9dad-11d1-80b4-00c04fd430c8 "
		"boot=6ba7b810-9dad-11d1-80b4-00c04fd430c8 host=h vm=v\n");
	lock = holder_of(image, RESOURCE_EXCLUSIVE);
	text = saved_of(lock);
	assert_non_null(strstr(text, ",1,00006161-0000-4000-8000-000000000000,"));
	lock_manager_free(lock);
}

/* Two disks on two file systems, for example, whose inodes have the same number. */
static void two_resources_of_one_lock_file_are_told_apart_from_a_busy_one(void **state)
{
	struct resource lease = { .kind = RESOURCE_LEASE, .mode = RESOURCE_EXCLUSIVE };
	struct lock *lock = vm_on("a", "host-a");
	char name[160], other[160];
	struct error err;

	(void)state;
	snprintf(name, sizeof(name), "%s/vms", space);
	snprintf(other, sizeof(other), "%s/more", space);
	assert_int_equal(mkdir(name, 0700), 0);
	assert_int_equal(symlink(name, other), 0);
	lease.path = "vms:web1";
	assert_int_equal(lock_manager_add_resource(lock, &lease, NULL), 0);
	lease.path = "more:web1";
	assert_int_equal(lock_manager_add_resource(lock, &lease, NULL), 0);
	assert_int_equal(acquire(lock, &err), -EINVAL);
	assert_int_equal(err.status, 65);
	assert_non_null(strstr(err.text, " of this VM have the same lock file, "));
	lock_manager_free(lock);
}

static void a_lock_file_that_goes_while_it_is_held_is_a_loss(void **state)
{
	struct lock *lock = holder_of(image, RESOURCE_EXCLUSIVE);
	struct error err = { 0 };

	(void)state;
	assert_int_equal(lock_manager_verify(lock, NULL, &err), 0);
	remove_lock_file();
	assert_int_equal(lock_manager_verify(lock, NULL, &err), LOCK_LOST);
	assert_non_null(strstr(err.text, lock_file(image)));
	put(lock_file(image), "");
	assert_int_equal(lock_manager_verify(lock, NULL, &err), LOCK_LOST);
	lock_manager_free(lock);
}

static void make_link(const char *path)
{
	assert_int_equal(symlink("/etc/passwd", path), 0);
}

static void make_fifo(const char *path)
{
	assert_int_equal(mkfifo(path, 0600), 0);
}

static void make_directory(const char *path)
{
	assert_int_equal(mkdir(path, 0700), 0);
}

static void make_hard_link(const char *path)
{
	put(fixture_path("precious"), "");
	assert_int_equal(link(fixture_path("precious"), path), 0);
}

static void make_foreign(const char *path)
{
	put(path, "");
	if (chown(path, 12345, 12345) < 0)
		make_link(path);
}

static void what_is_no_lock_file_is_refused_and_left_alone(void **state)
{
	static const struct {
		void (*make)(const char *path);
		const char *words;
	} cases[] = {
		{ make_link, "is a symbolic link" },
		{ make_fifo, "is no regular file" },
		{ make_directory, "is no regular file" },
		{ make_hard_link, "has other names" },
		{ make_foreign, "belongs to another user (uid 12345)" },
	};
	struct error err;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct lock *lock = vm_on("a", "host-a");

		if (geteuid() != 0 && cases[i].make == make_foreign)
			continue;
		cases[i].make(lock_file(image));
		add(lock, image, RESOURCE_EXCLUSIVE);
		assert_true(acquire(lock, &err) < 0);
		if (err.status != 65 || !strstr(err.text, cases[i].words))
			fail_msg("case %zu: %d '%s'", i, err.status, err.text);
		assert_int_equal(lock_seen(image, 0), F_UNLCK);
		assert_int_equal(remove(lock_file(image)), 0);
		lock_manager_free(lock);
	}
}

static void a_lockspace_that_is_not_there_is_69(void **state)
{
	const struct resource disk = { .kind = RESOURCE_DISK, .path = image };
	const struct lock_look look = { .params = &params, .resource = &disk, .fd = -1 };
	struct lock_view view;
	struct lock *lock = vm_on("a", "host-a");
	struct error err;

	(void)state;
	assert_int_equal(rmdir(space), 0);
	add(lock, image, RESOURCE_EXCLUSIVE);
	assert_int_equal(acquire(lock, &err), -ENOENT);
	assert_int_equal(err.status, 69);
	assert_non_null(strstr(err.text, space));
	assert_int_not_equal(access(space, F_OK), 0);
	err = (struct error){ 0 };
	assert_int_equal(lock_manager_look_at(lock->driver, &look, &view, &err), -ENOENT);
	assert_int_equal(err.status, 69);
	lock_manager_free(lock);
}

static void a_lockspace_that_anybody_can_write_to_is_refused(void **state)
{
	struct lock *lock = vm_on("a", "host-a");
	struct error err;

	(void)state;
	assert_int_equal(chmod(space, 0777), 0);
	add(lock, image, RESOURCE_EXCLUSIVE);
	assert_int_equal(acquire(lock, &err), -EPERM);
	assert_int_equal(err.status, 77);
	assert_non_null(strstr(err.text, "chmod o-w"));
	assert_int_equal(chmod(space, 01777), 0);
	assert_int_equal(acquire(lock, &err), 0);
	lock_manager_free(lock);
}

static void somebody_elses_text_in_a_lease_file_stays(void **state)
{
	struct resource lease = { .kind = RESOURCE_LEASE, .mode = RESOURCE_EXCLUSIVE };
	_cleanup_(freep) char *text = NULL;
	char name[160], path[256];
	struct lock *lock = vm_on("a", "host-a");

	(void)state;
	snprintf(name, sizeof(name), "%s/vms", space);
	assert_int_equal(mkdir(name, 0700), 0);
	snprintf(path, sizeof(path), "%s/web1", name);
	put(path, "do not touch\n");
	lease.path = "vms:web1";
	assert_int_equal(lock_manager_add_resource(lock, &lease, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_arm(lock, NULL), 0);
	assert_int_equal(lock_seen(path, 0), F_WRLCK);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	lock_manager_free(lock);
	text = get(path);
	assert_string_equal(text, "do not touch\n");
}

static void an_adoption_takes_lock_files_over_too(void **state)
{
	struct lock *child = holder_of(image, RESOURCE_EXCLUSIVE), *ours = vm_on("a", "host-a");
	_cleanup_(freep) char *saved = saved_of(child);
	_cleanup_(freep) struct lock_descriptor *all = NULL;
	struct error err = { 0 };
	size_t n, i;

	(void)state;
	assert_int_equal(lock_manager_descriptors(child, &all, &n, NULL), 0);
	assert_int_equal(n, 4);
	for (i = 0; i < n; i++)
		assert_int_equal(all[i].inherit, i % 2 == 0);
	add(ours, image, RESOURCE_EXCLUSIVE);
	assert_int_equal(adopt_from(child, ours, &err), 0);
	lock_manager_free(child);
	assert_int_equal(lock_seen(lock_file(image), 0), F_WRLCK);
	assert_int_equal(lock_manager_verify(ours, NULL, &err), 0);
	assert_int_equal(lock_manager_verify(ours, saved, &err), 0);
	assert_int_equal(lock_manager_release(ours, NULL, NULL), 0);
	assert_int_equal(lock_seen(lock_file(image), 0), F_UNLCK);
	assert_int_equal(lock_seen(image, 0), F_UNLCK);
	lock_manager_free(ours);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, make_space, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_disk_has_a_lock_file_with_virtlockds_name_and_byte),
		TEST(every_spelling_has_its_lock_file),
		TEST(by_identity_it_is_one_file_for_all_names),
		TEST(a_holder_on_another_host_is_named_by_the_lock_files_record),
		TEST(the_record_stands_in_the_lock_file_too),
		TEST(the_generation_is_above_every_place),
		TEST(a_lock_file_that_is_not_what_it_was_is_stale),
		TEST(a_replaced_lock_file_is_locked_anew_and_said_to_be),
		TEST(the_lock_file_of_a_new_name_is_said_to_be_new),
		TEST(a_generation_comes_round),
		TEST(two_resources_of_one_lock_file_are_told_apart_from_a_busy_one),
		TEST(a_lock_file_that_goes_while_it_is_held_is_a_loss),
		TEST(what_is_no_lock_file_is_refused_and_left_alone),
		TEST(a_lockspace_that_is_not_there_is_69),
		TEST(a_lockspace_that_anybody_can_write_to_is_refused),
		TEST(somebody_elses_text_in_a_lease_file_stays),
		TEST(an_adoption_takes_lock_files_over_too),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
