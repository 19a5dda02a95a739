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
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "domain_helpers.h"
#include "fault.h"
#include "locking/lock_manager.h"

/* Meson says where the modules are built: MODULES. They are tried in a directory of our own. */

static int set_up(void **state)
{
	int ret = lock_fixture_setup(state);

	return ret ? ret : setenv("VMLATCH_MODULE_DIR", fixture_path("."), 1);
}

static void copy_module(const char *from, const char *to, mode_t mode)
{
	_cleanup_(freep) char *bytes = malloc(4 << 20);
	char path[4096];
	ssize_t len;
	int fd;

	snprintf(path, sizeof(path), "%s/%s.so", MODULES, from);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	len = fd_read_all(fd, bytes, 4 << 20);
	close(fd);
	assert_true(len > 0 && len < (4 << 20));
	fd = open(fixture_path(to), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	assert_int_equal(fd_write_all(fd, bytes, len), 0);
	assert_int_equal(fchmod(fd, mode), 0);
	close(fd);
}

/* A driver that must not be loaded; the sentence has these words, and the status is 69. */
static void refused(const char *name, int code, const char *words)
{
	const struct lock_driver *driver = NULL;
	struct error err = { 0 };

	assert_int_equal(lock_manager_load(name, &driver, &err), code);
	assert_null(driver);
	assert_int_equal(err.status, 69);
	if (!strstr(err.text, words))
		fail_msg("'%s' is not in: %s", words, err.text);
}

static void every_driver_is_complete(void **state)
{
	static const char *const names[] = { "file", "nop", "flock" };
	const struct lock_driver *driver;
	size_t i, slot;

	(void)state;
	copy_module("flock", "flock.so", 0644);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		const size_t first = offsetof(struct lock_driver, create);
		void *function;

		assert_int_equal(lock_manager_load(names[i], &driver, NULL), 0);
		assert_int_equal(driver->abi, LOCK_DRIVER_ABI);
		assert_string_equal(driver->name, names[i]);
		/* from the first slot to the end there is nothing but functions */
		for (slot = first; slot < sizeof(*driver); slot += sizeof(function)) {
			memcpy(&function, (const char *)driver + slot, sizeof(function));
			assert_non_null(function);
		}
	}
}

static void a_driver_is_loaded_once(void **state)
{
	const struct lock_driver *first, *again;
	size_t fds;

	(void)state;
	copy_module("flock", "flock.so", 0644);
	fds = fixture_count_fds();
	assert_int_equal(lock_manager_load("flock", &first, NULL), 0);
	assert_int_equal(fixture_count_fds(), fds + 1);
	assert_int_equal(lock_manager_load("flock", &again, NULL), 0);
	assert_ptr_equal(first, again);
	assert_int_equal(fixture_count_fds(), fds + 1);
}

/* libc remembers what it has loaded by path, and a descriptor's path is used again. */
static void another_file_of_that_name_is_another_driver(void **state)
{
	const struct lock_driver *first, *other;

	(void)state;
	copy_module("flock", "flock.so", 0644);
	assert_int_equal(lock_manager_load("flock", &first, NULL), 0);
	assert_int_equal(rename(fixture_path("flock.so"), fixture_path("old")), 0);
	copy_module("flock", "flock.so", 0644);
	assert_int_equal(lock_manager_load("flock", &other, NULL), 0);
	assert_ptr_not_equal(first, other);
}

static void a_driver_that_is_built_in_comes_first(void **state)
{
	const struct lock_driver *driver;

	(void)state;
	copy_module("odd_name", "file.so", 0644);
	assert_int_equal(lock_manager_load("file", &driver, NULL), 0);
	assert_ptr_equal(driver, lock_manager_find("file"));
	assert_null(lock_manager_find("odd"));
}

static void a_driver_that_is_not_there_is_told_with_those_that_are(void **state)
{
	char words[256];

	(void)state;
	snprintf(words, sizeof(words), "there is no lock driver 'sanlock' (file, nop; none in %s)",
		fixture_path("."));
	refused("sanlock", -ENOENT, words);
	copy_module("flock", "flock.so", 0644);
	copy_module("flock", "a_b-1.so", 0644);
	copy_module("flock", "Big.so", 0644);
	copy_module("flock", "x.so.1", 0644);
	snprintf(words, sizeof(words), "(file, nop; in %s: a_b-1, flock)", fixture_path("."));
	refused("sanlock", -ENOENT, words);
	setenv("VMLATCH_MODULE_DIR", fixture_path("nowhere"), 1);
	snprintf(words, sizeof(words), "(file, nop; %s: No such file or directory)",
		fixture_path("nowhere"));
	refused("flock", -ENOENT, words);
	unsetenv("VMLATCH_MODULE_DIR");
	refused("sanlock", -ENOENT, "vmlatch/lock-drivers");
}

static void no_name_leads_out_of_the_directory(void **state)
{
	static const char *const names[] = { "../flock", "sub/flock", "/tmp/flock", ".", "..", "",
		"flock.so", "Flock", "fl ock", "fl\nock", "abcdefghijklmnopqrstuvwxyz0123456" };
	char words[64];
	size_t i;

	(void)state;
	copy_module("flock", "flock.so", 0644);
	assert_int_equal(mkdir(fixture_path("sub"), 0700), 0);
	copy_module("flock", "sub/flock.so", 0644);
	setenv("VMLATCH_MODULE_DIR", fixture_path("sub"), 1);
	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		refused(names[i], -EINVAL, "is no lock driver's name");
	snprintf(words, sizeof(words), "'fl\\x0aock' is no");
	refused("fl\nock", -EINVAL, words);
}

static void only_a_regular_file_is_loaded(void **state)
{
	(void)state;
	copy_module("flock", "elsewhere", 0644);
	assert_int_equal(symlink(fixture_path("elsewhere"), fixture_path("flock.so")), 0);
	refused("flock", -EINVAL, "/flock.so: is no regular file");
	assert_int_equal(mkfifo(fixture_path("fifo.so"), 0600), 0);
	refused("fifo", -EINVAL, "is no regular file");
	assert_int_equal(mkdir(fixture_path("dir.so"), 0700), 0);
	refused("dir", -EINVAL, "is no regular file");
}

static void nothing_is_loaded_that_others_can_write(void **state)
{
	(void)state;
	copy_module("flock", "flock.so", 0664);
	refused("flock", -EPERM, "/flock.so: can be written by others");
	assert_int_equal(chmod(fixture_path("flock.so"), 0646), 0);
	refused("flock", -EPERM, "can be written by others");
	assert_int_equal(chmod(fixture_path("flock.so"), 0644), 0);
	assert_int_equal(chmod(fixture_path("."), 0770), 0);
	refused("flock", -EPERM, "/.: can be written by others");
	if (geteuid() == 0) {
		assert_int_equal(chmod(fixture_path("."), 0700), 0);
		assert_int_equal(chown(fixture_path("flock.so"), 12345, 0), 0);
		refused("flock", -EPERM, "/flock.so: belongs to user 12345, neither to root");
		assert_int_equal(chown(fixture_path("flock.so"), 0, 0), 0);
		assert_int_equal(chown(fixture_path("."), 12345, 0), 0);
		refused("flock", -EPERM, "/.: belongs to user 12345, neither to root");
	}
}

static void what_is_no_driver_is_refused(void **state)
{
	static const struct {
		const char *module;
		int code;
		const char *words;
	} odd[] = {
		{ "odd_abi", -EINVAL,
			"was built for version 7 of vmlatch's lock drivers, and this is version "
			"3" },
		{ "odd_name", -EINVAL, "is the lock driver 'another'" },
		{ "odd_no_name", -EINVAL, "is the lock driver ''" },
		{ "odd_slot", -EINVAL, "is no whole lock driver: it has no inquire" },
		{ "odd_symbol", -EINVAL, "is no lock driver: it has no vmlatch_lock_driver" },
		{ "odd_needs", -ENOEXEC, "cannot be loaded: undefined symbol: nowhere_defined" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(odd) / sizeof(odd[0]); i++) {
		copy_module(odd[i].module, "odd.so", 0644);
		refused("odd", odd[i].code, odd[i].words);
		refused("odd", odd[i].code, odd[i].words); /* as well the next time */
		refused("odd", odd[i].code, "/odd.so: ");
		assert_int_equal(rename(fixture_path("odd.so"), fixture_path("used")), 0);
	}
}

static void what_is_no_module_is_refused(void **state)
{
	(void)state;
	fixture_image("text.so");
	refused("text", -ENOEXEC, "/text.so: cannot be loaded: invalid ELF header");
	assert_int_equal(truncate(fixture_path("text.so"), 0), 0);
	refused("text", -ENOEXEC, "cannot be loaded: file too short");
}

static void a_load_with_faults_is_refused_and_leaves_nothing(void **state)
{
	const struct lock_driver *driver;
	bool fired = true;
	unsigned n;

	(void)state;
	for (n = 1; fired; n++) {
		struct error err = { 0 };
		size_t fds;
		int ret;

		/* each time a file that was not loaded yet */
		copy_module("flock", "flock.so", 0644);
		fds = fixture_count_fds();
		fault_arm(n);
		ret = lock_manager_load("flock", &driver, &err);
		fired = fault_disarm();
		assert_int_equal(ret == 0, !fired);
		if (ret != 0) {
			assert_string_not_equal(err.text, "");
			assert_int_equal(err.status, 69);
		}
		assert_int_equal(fixture_count_fds(), fds + !fired);
		assert_int_equal(unlink(fixture_path("flock.so")), 0);
	}
	assert_true(n > 5);
}

/* From here on: the example, contrib/lock-driver-example. */

static bool script_may(const char *path, int kind)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC);

	return flock(fd, kind | LOCK_NB) == 0;
}

static int set_up_example(void **state)
{
	int ret = set_up(state);

	if (ret == 0)
		copy_module("flock", "flock.so", 0644);
	return ret;
}

static void a_vm_of_the_example_goes_through_its_life(void **state)
{
	char path[128];
	struct domain_lock *domain;

	(void)state;
	strcpy(path, fixture_image("a"));
	domain = running("flock", "a", path);
	assert_int_equal(domain_lock_verify(domain, NULL), 0);
	assert_false(script_may(path, LOCK_SH));
	assert_int_equal(pause_domain(domain), 0);
	assert_true(script_may(path, LOCK_EX));
	assert_int_equal(resume_domain(domain, NULL), 0);
	assert_false(script_may(path, LOCK_SH));
	assert_int_equal(detach(domain, path), 0);
	assert_true(script_may(path, LOCK_EX));
	assert_int_equal(attach(domain, path, RESOURCE_READER, NULL), 0);
	assert_true(script_may(path, LOCK_SH));
	assert_false(script_may(path, LOCK_EX));
	domain_lock_free(domain);
	assert_true(script_may(path, LOCK_EX));
}

static void the_example_excludes_and_holds_all_or_nothing(void **state)
{
	char first[128], second[128];
	struct domain_lock *domain;
	struct error err = { 0 };
	struct peer peer;
	size_t fds;

	(void)state;
	strcpy(first, fixture_image("1"));
	strcpy(second, fixture_image("2"));
	domain = running("flock", "a", first);
	assert_int_equal(attach(domain, second, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(pause_domain(domain), 0);
	fds = fixture_count_fds();
	peer = peer_start("flock", "b", second, RESOURCE_READER);
	assert_int_equal(peer.result, 0);
	assert_int_equal(resume_domain(domain, &err), LOCK_BUSY);
	assert_non_null(strstr(err.text, second));
	assert_true(script_may(first, LOCK_EX));
	assert_int_equal(fixture_count_fds(), fds + 1); /* the peer's socket */
	peer_stop(&peer);
	assert_int_equal(resume_domain(domain, NULL), 0);
	assert_false(script_may(first, LOCK_SH) || script_may(second, LOCK_SH));
	domain_lock_free(domain);
}

static void the_example_notices_a_writer(void **state)
{
	char path[128];
	struct domain_lock *domain;
	struct error err = { 0 };

	(void)state;
	strcpy(path, fixture_image("a"));
	domain = running("flock", "a", path);
	assert_int_equal(pause_domain(domain), 0);
	fixture_write(path);
	assert_int_equal(resume_domain(domain, &err), LOCK_STALE);
	assert_non_null(strstr(err.text, "was written after its lock was given back"));
	assert_true(script_may(path, LOCK_EX));
	domain_lock_free(domain);
}

/* Two names of one file; a file that is exchanged before it is locked. */
static void the_example_locks_files_not_names(void **state)
{
	char path[128], hard[128];
	struct domain_lock *domain;
	struct error err = { 0 };

	(void)state;
	strcpy(path, fixture_image("a"));
	strcpy(hard, fixture_path("hard"));
	assert_int_equal(link(path, hard), 0);
	domain = new_domain("flock", "a");
	assert_int_equal(attach(domain, path, RESOURCE_READER, NULL), 0);
	assert_int_equal(attach(domain, hard, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(start_domain(domain), 0);
	assert_int_equal(domain_lock_resources(domain)->n, 1);
	assert_false(script_may(path, LOCK_SH));
	domain_lock_free(domain);
	domain = new_domain("flock", "a");
	assert_int_equal(attach(domain, path, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(rename(fixture_image("b"), path), 0);
	assert_int_equal(resume_domain(domain, &err), -ESTALE);
	assert_non_null(strstr(err.text, "is another file now"));
	assert_true(script_may(path, LOCK_EX));
	domain_lock_free(domain);
}

static void the_example_is_adopted_with_its_descriptors(void **state)
{
	char path[128];
	_cleanup_(freep) struct lock_descriptor *fds = NULL;
	_cleanup_(freep) char *text = NULL;
	struct domain_lock_start start = { .pid = getpid() };
	struct domain_lock *child, *ours;
	int copy;
	size_t n;

	(void)state;
	strcpy(path, fixture_image("a"));
	child = running("flock", "a", path);
	ours = new_domain("flock", "a");
	assert_int_equal(attach(ours, path, RESOURCE_EXCLUSIVE, NULL), 0);
	assert_int_equal(domain_lock_process_inquire(child, &text, NULL), 0);
	assert_int_equal(domain_lock_descriptors(child, &fds, &n, NULL), 0);
	assert_int_equal(n, 1);
	assert_true(fds[0].inherit);
	copy = fcntl(fds[0].fd, F_DUPFD_CLOEXEC, 0);
	assert_int_equal(domain_lock_adopt(ours, &start, NULL, 0, text, NULL), -EINVAL);
	assert_int_equal(domain_lock_adopt(ours, &start, &copy, 1, text, NULL), 0);
	domain_lock_free(child);
	assert_false(script_may(path, LOCK_SH));
	assert_int_equal(pause_domain(ours), 0);
	assert_true(script_may(path, LOCK_EX));
	domain_lock_free(ours);
}

static void the_example_looks_without_locking(void **state)
{
	char path[128];
	const struct lock_driver *driver;
	struct domain_lock *domain;
	struct lock_view view;

	(void)state;
	strcpy(path, fixture_image("a"));
	assert_int_equal(lock_manager_load("flock", &driver, NULL), 0);
	assert_int_equal(lock_manager_look(driver, path, &view, NULL), 0);
	assert_false(view.held || view.busy);
	domain = running("flock", "a", path);
	assert_int_equal(lock_manager_look(driver, path, &view, NULL), 0);
	assert_true(view.held && view.busy);
	assert_int_equal(view.mode, RESOURCE_EXCLUSIVE);
	assert_int_equal(view.holder.pid, getpid());
	domain_lock_free(domain);
	assert_true(lock_manager_look(driver, fixture_path("none"), &view, NULL) < 0);
}

static void the_example_refuses_what_it_cannot(void **state)
{
	struct resource lease = { .kind = RESOURCE_LEASE, .path = "space:key" };
	struct domain_lock *domain = new_domain("flock", "a");
	struct lock_conflict conflict;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(domain_lock_lease_attach(domain, &lease, &conflict, &err), -EINVAL);
	assert_non_null(strstr(err.text, "has no leases"));
	assert_int_equal(err.status, 65);
	assert_int_equal(attach(domain, fixture_image("a"), RESOURCE_SHARED, &err), -EINVAL);
	assert_non_null(strstr(err.text, "has no shared writers"));
	assert_int_equal(attach(domain, "/dev/null", RESOURCE_READER, &err), -EINVAL);
	assert_non_null(strstr(err.text, "is no regular file"));
	domain_lock_free(domain);
}

#define TEST(name, begins) cmocka_unit_test_setup_teardown(name, begins, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(every_driver_is_complete, set_up),
		TEST(a_driver_is_loaded_once, set_up),
		TEST(another_file_of_that_name_is_another_driver, set_up),
		TEST(a_driver_that_is_built_in_comes_first, set_up),
		TEST(a_driver_that_is_not_there_is_told_with_those_that_are, set_up),
		TEST(no_name_leads_out_of_the_directory, set_up),
		TEST(only_a_regular_file_is_loaded, set_up),
		TEST(nothing_is_loaded_that_others_can_write, set_up),
		TEST(what_is_no_driver_is_refused, set_up),
		TEST(what_is_no_module_is_refused, set_up),
		TEST(a_load_with_faults_is_refused_and_leaves_nothing, set_up),
		TEST(a_vm_of_the_example_goes_through_its_life, set_up_example),
		TEST(the_example_excludes_and_holds_all_or_nothing, set_up_example),
		TEST(the_example_notices_a_writer, set_up_example),
		TEST(the_example_locks_files_not_names, set_up_example),
		TEST(the_example_is_adopted_with_its_descriptors, set_up_example),
		TEST(the_example_looks_without_locking, set_up_example),
		TEST(the_example_refuses_what_it_cannot, set_up_example),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
