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
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <unistd.h>

#include "fault.h"
#include "file_helpers.h"
#include "locking/drivers.h"
#include "locking/file_image.h"
#include "locking/file_lock.h"

static void only_regular_files_and_block_devices_are_opened(void **state)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	const struct {
		const char *name;
		mode_t type;
		int code;
		const char *words;
	} kinds[] = {
		{ "fifo", S_IFIFO, -EINVAL, "is a FIFO" },
		{ "char", S_IFCHR, -EINVAL, "is a character device" },
		{ "dir", S_IFDIR, -EISDIR, "is a directory" },
		{ "socket", S_IFSOCK, -EINVAL, "is a socket" },
	};
	struct lock_view view;
	int mode, fd;
	size_t i;

	(void)state;
	mkfifo(fixture_path("fifo"), 0600);
	mkdir(fixture_path("dir"), 0700);
	strcpy(address.sun_path, fixture_path("socket"));
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	close(fd);
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		const char *path = fixture_path(kinds[i].name);

		/* devices that are not there: to open one would say ENXIO */
		if (kinds[i].type == S_IFCHR && mknod(path, S_IFCHR | 0600, makedev(240, 77)) < 0)
			continue;
		for (mode = RESOURCE_READER; mode <= RESOURCE_EXCLUSIVE; mode++) {
			struct error err = { 0 };

			assert_int_equal(try_acquire(path, mode, &err), kinds[i].code);
			assert_int_equal(err.status, 65);
			assert_non_null(strstr(err.text, path));
			assert_non_null(strstr(err.text, kinds[i].words));
		}
		assert_int_equal(
			lock_manager_look(&lock_driver_file, path, &view, NULL), kinds[i].code);
	}
}

static void a_device_that_is_not_there_is_no_input(void **state)
{
	const char *path = fixture_path("block");
	struct error err = { 0 };

	(void)state;
	if (mknod(path, S_IFBLK | 0600, makedev(240, 77)) < 0)
		skip();
	assert_int_equal(try_acquire(path, RESOURCE_EXCLUSIVE, &err), -ENXIO);
	assert_int_equal(err.status, 66);
}

static void a_missing_image_is_no_input(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(try_acquire(fixture_path("nowhere"), RESOURCE_EXCLUSIVE, &err), -ENOENT);
	assert_int_equal(err.status, 66);
	assert_non_null(strstr(err.text, fixture_path("nowhere")));
}

static void images_are_opened_with_qemus_rights(void **state)
{
	struct credentials nobody = { .change = true, .uid = 65534, .gid = 65534 };
	struct lock_params params = fixture_params("a");
	const char *path = fixture_image("secret");
	struct resource image = fixture_resource(path, RESOURCE_READER);
	struct error err = { 0 };
	struct lock *lock;

	(void)state;
	if (geteuid() != 0)
		skip();
	params.credentials = &nobody;
	assert_int_equal(lock_manager_new(&lock_driver_file, &params, &lock, NULL), 0);
	assert_int_equal(lock_manager_add_resource(lock, &image, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, &err), -EACCES);
	assert_int_equal(err.status, 77);
	assert_int_equal(access(path, W_OK), 0); /* we are ourselves again */
	chmod(fixture_path("."), 0755);
	chmod(path, 0604);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, &err), 0);
	lock_manager_free(lock);
}

static void a_lease_needs_a_name_and_a_place(void **state)
{
	struct resource lease = { .kind = RESOURCE_LEASE, .path = "space" };
	struct lock *lock = new_lock("a");
	struct error err = { 0 };

	(void)state;
	assert_int_equal(lock_manager_add_resource(lock, &lease, &err), -EINVAL);
	assert_int_equal(err.status, 64);
	assert_non_null(strstr(err.text, "'space': needs SPACE:KEY"));
	lease.path = "space:key";
	lease.mode = RESOURCE_EXCLUSIVE;
	assert_int_equal(lock_manager_add_resource(lock, &lease, &err), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, &err), -EINVAL);
	assert_int_equal(err.status, 64);
	assert_non_null(strstr(err.text, "--lockspace"));
	lock_manager_free(lock);
}

static void without_locks_readers_are_skipped_and_writers_refused(void **state)
{
	const char *path = fixture_image("a");
	size_t fds = fixture_count_fds();
	struct error err = { 0 };
	struct lock *lock = new_lock("a");
	char *text;

	(void)state;
	add(lock, path, RESOURCE_READER);
	fault_always("fcntl", ENOLCK);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_true(status_of(lock, path).held && status_of(lock, path).skipped);
	assert_int_equal(fixture_count_fds(), fds);
	text = saved_of(lock);
	assert_non_null(strstr(text, "disk,reader,skipped,"));
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), 0);
	assert_int_equal(try_acquire(path, RESOURCE_EXCLUSIVE, &err), -ENOLCK);
	assert_int_equal(err.status, 65);
	assert_non_null(strstr(err.text, "has no locks"));
	assert_int_equal(try_acquire(path, RESOURCE_SHARED, NULL), -ENOLCK);
	fault_always(NULL, 0);
	free(text);
	lock_manager_free(lock);
}

static void two_names_of_one_file_become_one(void **state)
{
	struct lock *lock = new_lock("a");
	struct lock_descriptor *fds;
	struct resource alias;
	struct lock_status status;
	char path[128], link_path[128];
	size_t n;

	(void)state;
	strcpy(path, fixture_image("a"));
	strcpy(link_path, fixture_path("b"));
	assert_int_equal(link(path, link_path), 0);
	add(lock, path, RESOURCE_READER);
	add(lock, link_path, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_descriptors(lock, &fds, &n, NULL), 0);
	assert_int_equal(n, 2);
	assert_int_equal(lock_seen(path, 0), F_WRLCK);
	alias = fixture_resource(path, RESOURCE_READER);
	assert_int_equal(lock_manager_status(lock, &alias, &status), -ENOENT);
	free(fds);
	lock_manager_free(lock);
}

static void a_stronger_use_of_a_held_file_is_refused_by_any_name(void **state)
{
	struct lock *lock;
	struct error err = { 0 };
	char path[128], link_path[128];
	struct resource strong;

	(void)state;
	strcpy(path, fixture_image("a"));
	strcpy(link_path, fixture_path("b"));
	assert_int_equal(link(path, link_path), 0);
	lock = held_lock("a", path, RESOURCE_READER);
	strong = fixture_resource(path, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_add_resource(lock, &strong, &err), -EBUSY);
	add(lock, link_path, RESOURCE_EXCLUSIVE);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, &err), -EBUSY);
	assert_non_null(strstr(err.text, link_path));
	assert_int_equal(lock_seen(path, 0), F_RDLCK);
	lock_manager_free(lock);
}

static void a_file_that_is_replaced_while_it_is_locked_is_noticed(void **state)
{
	struct resource resource;
	struct file_rights rights = { 0 };
	struct file_image image;
	char path[128], other[128];

	(void)state;
	strcpy(path, fixture_image("a"));
	strcpy(other, fixture_image("b"));
	resource = fixture_resource(path, RESOURCE_EXCLUSIVE);
	assert_int_equal(file_image_init(&image, &resource, &rights), 0);
	assert_int_equal(file_image_open(&image, NULL), 0);
	assert_int_equal(rename(other, path), 0);
	assert_int_equal(file_image_take(&image, NULL), FILE_PLACE_REPLACED);
	assert_false(image.held);
	assert_false(file_image_is_open(&image));
	assert_int_equal(file_image_open(&image, NULL), 0);
	unlink(path);
	assert_int_equal(file_image_take(&image, NULL), FILE_PLACE_REPLACED);
	file_image_finish(&image);
}

static void a_renamed_or_deleted_image_is_not_lost(void **state)
{
	char path[128];
	struct lock *lock;
	char *text;

	(void)state;
	strcpy(path, fixture_image("a"));
	lock = held_lock("a", path, RESOURCE_EXCLUSIVE);
	assert_false(status_of(lock, path).moved);
	rename(path, fixture_path("b"));
	assert_int_equal(lock_manager_verify(lock, NULL, NULL), 0);
	assert_true(status_of(lock, path).moved);
	unlink(fixture_path("b"));
	assert_int_equal(lock_manager_verify(lock, NULL, NULL), 0);
	text = saved_of(lock);
	assert_int_equal(lock_manager_release(lock, NULL, NULL), 0);
	assert_int_equal(lock_manager_acquire(lock, 0, NULL, NULL), 0);
	assert_int_equal(lock_manager_verify(lock, text, NULL), 0);
	free(text);
	lock_manager_free(lock);
}

#define in_fixture(test) \
	cmocka_unit_test_setup_teardown(test, lock_fixture_setup, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_fixture(only_regular_files_and_block_devices_are_opened),
		in_fixture(a_device_that_is_not_there_is_no_input),
		in_fixture(a_missing_image_is_no_input),
		in_fixture(images_are_opened_with_qemus_rights),
		in_fixture(a_lease_needs_a_name_and_a_place),
		in_fixture(without_locks_readers_are_skipped_and_writers_refused),
		in_fixture(two_names_of_one_file_become_one),
		in_fixture(a_stronger_use_of_a_held_file_is_refused_by_any_name),
		in_fixture(a_file_that_is_replaced_while_it_is_locked_is_noticed),
		in_fixture(a_renamed_or_deleted_image_is_not_lost),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
