/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "lock_fixture.h"
#include "locking/drivers.h"
#include "locking/holder.h"
#include "locking/holder_process.h"
#include "locking/lock_manager.h"

/* Try to lock @path, as VM "late". Returns what acquire returned. */
static int try_once(const char *path, enum resource_mode mode, struct lock_conflict *conflict,
	struct error *err)
{
	struct lock_params params = fixture_params("late");
	struct resource image = fixture_resource(path, mode);
	struct lock *lock;
	int ret;

	assert_int_equal(lock_manager_new(&lock_driver_file, &params, &lock, NULL), 0);
	assert_int_equal(lock_manager_add_resource(lock, &image, NULL), 0);
	ret = lock_manager_acquire(lock, 0, conflict, err);
	lock_manager_free(lock);
	return ret;
}

/* The scan gives up in time; on a host that is slow (valgrind) it needs another go. */
static int try_late(const char *path, enum resource_mode mode, struct lock_conflict *conflict,
	struct error *err)
{
	int ret, goes = 20;

	do {
		ret = try_once(path, mode, conflict, err);
	} while (ret == LOCK_BUSY && conflict && conflict->holder.source == LOCK_HOLDER_UNKNOWN &&
		 --goes);
	return ret;
}

/* The program's name, as the kernel has it (another one under valgrind). */
static const char *our_name(void)
{
	static char name[32];
	_cleanup_(closep) int fd = open("/proc/self/comm", O_RDONLY | O_CLOEXEC);
	ssize_t len = read(fd, name, sizeof(name) - 1);

	name[len > 0 ? len - 1 : 0] = '\0';
	return name;
}

static struct lock_view look(const char *path)
{
	struct lock_view view = { 0 };

	assert_int_equal(lock_manager_look(&lock_driver_file, path, &view, NULL), 0);
	return view;
}

/* A lock of another program's making; it ends with the pipe. */
static pid_t stranger_start(const char *path, int command, short type, int *life)
{
	struct flock lock = { .l_type = type, .l_len = 1 };
	int pair[2], fd;
	char byte = 0;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	pid = fork();
	if (pid == 0) {
		close(pair[0]);
		fd = open(path, O_RDWR | O_CLOEXEC);
		if (fcntl(fd, command, &lock) < 0 || write(pair[1], &byte, 1) != 1)
			_exit(1);
		_exit(read(pair[1], &byte, 1) != 0);
	}
	close(pair[1]);
	*life = pair[0];
	assert_int_equal(read(pair[0], &byte, 1), 1);
	return pid;
}

static void stranger_stop(pid_t pid, int life)
{
	close(life);
	waitpid(pid, NULL, 0);
}

static void an_exclusive_holder_is_named_by_its_record(void **state)
{
	const char *path = fixture_image("a");
	struct peer peer = peer_start("file", "web1", path, RESOURCE_EXCLUSIVE);
	struct lock_conflict conflict = { 0 };
	struct error err = { 0 };
	char words[128];

	(void)state;
	assert_int_equal(peer.result, 0);
	assert_int_equal(try_late(path, RESOURCE_READER, &conflict, &err), LOCK_BUSY);
	assert_int_equal(conflict.holder.source, LOCK_HOLDER_RECORD);
	assert_string_equal(conflict.path, path);
	assert_true(conflict.id.ino != 0 && conflict.holder.since != 0);
	snprintf(words, sizeof(words), "%s is in use by VM 'web1' (host testhost, pid %d, since ",
		path, peer.pid);
	assert_ptr_equal(strstr(err.text, words), err.text);
	assert_int_equal(err.status, 75);
	peer_stop(&peer);
	assert_int_equal(try_late(path, RESOURCE_EXCLUSIVE, &conflict, &err), 0);
}

static void a_reader_is_found_by_the_scan(void **state)
{
	const char *path = fixture_image("a");
	struct peer peer = peer_start("file", "web1", path, RESOURCE_READER);
	struct lock_conflict conflict = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(try_late(path, RESOURCE_EXCLUSIVE, &conflict, &err), LOCK_BUSY);
	assert_int_equal(conflict.holder.source, LOCK_HOLDER_KERNEL);
	assert_int_equal(conflict.holder.pid, peer.pid);
	assert_string_equal(conflict.holder.process, our_name());
	assert_int_equal(try_late(path, RESOURCE_SHARED, &conflict, &err), LOCK_BUSY);
	assert_int_equal(conflict.holder.pid, peer.pid);
	peer_stop(&peer);
}

static void a_posix_lock_is_named_by_its_process_whatever_the_record_says(void **state)
{
	const char *path = fixture_image("a");
	struct peer peer = peer_start("file", "web1", path, RESOURCE_EXCLUSIVE);
	struct lock_conflict conflict = { 0 };
	struct error err = { 0 };
	int life;
	pid_t pid;

	(void)state;
	peer_kill(&peer); /* leaves a record that says held */
	pid = stranger_start(path, F_SETLK, F_WRLCK, &life);
	assert_int_equal(try_late(path, RESOURCE_EXCLUSIVE, &conflict, &err), LOCK_BUSY);
	assert_int_equal(conflict.holder.source, LOCK_HOLDER_KERNEL);
	assert_int_equal(conflict.holder.pid, pid);
	assert_int_equal(look(path).holder.pid, pid);
	stranger_stop(pid, life);
}

/* It has no class byte; but virtlockd locks nothing for readers, so it is a writer. */
static void a_shared_disk_of_libvirts_goes_with_shared_writers_only(void **state)
{
	const char *path = fixture_image("a");
	struct lock_conflict conflict = { 0 };
	struct error err = { 0 };
	int life;
	pid_t pid = stranger_start(path, F_SETLK, F_RDLCK, &life);

	(void)state;
	assert_int_equal(try_late(path, RESOURCE_SHARED, &conflict, &err), 0);
	assert_int_equal(try_late(path, RESOURCE_READER, &conflict, &err), LOCK_BUSY);
	assert_int_equal(conflict.holder.pid, pid);
	assert_int_equal(try_late(path, RESOURCE_EXCLUSIVE, &conflict, &err), LOCK_BUSY);
	assert_int_equal(look(path).mode, RESOURCE_SHARED);
	stranger_stop(pid, life);
	assert_int_equal(try_late(path, RESOURCE_READER, &conflict, &err), 0);
}

static void the_record_of_a_dead_holder_is_not_believed(void **state)
{
	const char *path = fixture_image("a");
	struct peer peer = peer_start("file", "web1", path, RESOURCE_EXCLUSIVE);
	struct lock_conflict conflict = { 0 };
	struct error err = { 0 };
	int life;
	pid_t pid;

	(void)state;
	peer_kill(&peer);
	pid = stranger_start(path, F_OFD_SETLK, F_WRLCK, &life);
	assert_int_equal(try_late(path, RESOURCE_EXCLUSIVE, &conflict, &err), LOCK_BUSY);
	assert_int_equal(conflict.holder.source, LOCK_HOLDER_KERNEL);
	assert_int_equal(conflict.holder.pid, pid);
	assert_string_equal(conflict.holder.vm, "");
	assert_string_equal(look(path).holder.vm, "");
	stranger_stop(pid, life);
}

static void a_record_of_this_host_before_its_last_boot_is_not_believed(void **state)
{
	static const char *const hosts[] = { "testhost", "otherhost" };
	const char *path = fixture_image("a");
	char text[4096], *boot, *host;
	struct lock_conflict conflict;
	ssize_t len;
	int life, i;
	pid_t pid;

	(void)state;
	for (i = 0; i < 2; i++) {
		struct peer peer = peer_start("file", "web1", path, RESOURCE_EXCLUSIVE);

		peer_kill(&peer);
		len = getxattr(path, "user.vmlatch", text, sizeof(text) - 16);
		text[len] = '\0';
		boot = strstr(text, " boot=") + 6;
		memcpy(boot, "00000000", 8);
		host = strstr(text, " host=");
		sprintf(host, " host=%s vm=web1", hosts[i]);
		assert_int_equal(setxattr(path, "user.vmlatch", text, strlen(text), 0), 0);
		pid = stranger_start(path, F_OFD_SETLK, F_WRLCK, &life);
		assert_int_equal(try_late(path, RESOURCE_EXCLUSIVE, &conflict, NULL), LOCK_BUSY);
		assert_int_equal(
			conflict.holder.source, i ? LOCK_HOLDER_RECORD : LOCK_HOLDER_KERNEL);
		stranger_stop(pid, life);
	}
}

static void hostile_names_reach_nobodys_terminal(void **state)
{
	struct record record = { .owner = { .vm = "a\x1b[2J", .host = "\xff" } };
	struct lock_holder holder;

	(void)state;
	holder_from_record(&record, &holder);
	assert_string_equal(holder.vm, "a\\x1b[2J");
	assert_string_equal(holder.host, "\\xff");
}

static struct lock *hold(const char *path)
{
	struct lock_params params = fixture_params("web1");
	struct resource image = fixture_resource(path, RESOURCE_EXCLUSIVE);
	struct lock *lock = NULL;

	if (lock_manager_new(&lock_driver_file, &params, &lock, NULL) < 0 ||
		lock_manager_add_resource(lock, &image, NULL) < 0 ||
		lock_manager_acquire(lock, 0, NULL, NULL) != 0)
		_exit(1);
	return lock;
}

/* QEMU is this child; a copy of its descriptors lives a little longer. */
static int hold_and_die(const char *path)
{
	struct lock *lock = hold(path);
	int ret = lock_manager_arm(lock, NULL);

	if (fork() == 0)
		clock_sleep_ms(300);
	lock_manager_free(lock);
	return ret;
}

static void the_lock_that_a_corpse_leaves_is_waited_for(void **state)
{
	const char *path = fixture_image("a");
	struct lock_conflict conflict;

	(void)state;
	assert_int_equal(in_child(hold_and_die, path), 0);
	assert_int_equal(try_late(path, RESOURCE_EXCLUSIVE, NULL, NULL), LOCK_BUSY);
	assert_int_equal(try_late(path, RESOURCE_EXCLUSIVE, &conflict, NULL), 0);
}

/* A slow starter: between acquire and arm something takes its time. */
static int hold_then_arm(const char *path)
{
	struct lock *lock;
	int go[2];

	if (pipe(go) < 0)
		return 1;
	if (fork() != 0)
		return read(go[0], go, 1) != 1;
	lock = hold(path);
	if (write(go[1], "x", 1) != 1)
		return 1;
	clock_sleep_ms(80);
	lock_manager_arm(lock, NULL);
	clock_sleep_ms(700);
	lock_manager_free(lock);
	return 0;
}

static void the_record_of_who_is_just_taking_it_is_waited_for(void **state)
{
	const char *path = fixture_image("a");
	struct lock_conflict conflict;

	(void)state;
	assert_int_equal(in_child(hold_then_arm, path), 0);
	assert_int_equal(try_late(path, RESOURCE_EXCLUSIVE, &conflict, NULL), LOCK_BUSY);
	assert_string_equal(conflict.holder.vm, "web1");
}

static void to_look_tells_the_mode_and_takes_nothing(void **state)
{
	static const enum resource_mode modes[] = { RESOURCE_READER, RESOURCE_SHARED,
		RESOURCE_EXCLUSIVE };
	const char *path = fixture_image("a");
	struct lock_view view;
	size_t fds = fixture_count_fds(), i;
	struct peer peer;

	(void)state;
	view = look(path);
	assert_true(!view.held && view.lockable && view.recordable && view.generation == 0);
	for (i = 0; i < 3; i++) {
		peer = peer_start("file", "web1", path, modes[i]);
		view = look(path);
		assert_true(view.held && view.mode == modes[i] && view.id.ino != 0);
		peer_stop(&peer);
	}
	assert_int_equal(fixture_count_fds(), fds);
	assert_true(look(path).generation == 1 && !look(path).held);
	peer = peer_start("file", "web2", path, RESOURCE_EXCLUSIVE);
	view = look(path);
	assert_string_equal(view.holder.vm, "web2");
	assert_true(view.generation == 2);
	peer_stop(&peer);
}

static void the_scan_finds_only_who_is_in_the_way(void **state)
{
	const char *path = fixture_image("a");
	struct peer peer = peer_start("file", "web1", path, RESOURCE_READER);
	struct resource_identity id = look(path).id, other = { id.dev, id.ino + 1 };
	struct lock_holder holder;

	(void)state;
	assert_true(holder_scan(&id, RESOURCE_EXCLUSIVE, &holder));
	assert_int_equal(holder.pid, peer.pid);
	assert_true(holder_scan(&id, RESOURCE_SHARED, &holder));
	assert_false(holder_scan(&id, RESOURCE_READER, &holder));
	assert_false(holder_scan(&other, RESOURCE_EXCLUSIVE, &holder));
	peer_stop(&peer);
}

#define in_fixture(test) \
	cmocka_unit_test_setup_teardown(test, lock_fixture_setup, lock_fixture_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		in_fixture(an_exclusive_holder_is_named_by_its_record),
		in_fixture(a_reader_is_found_by_the_scan),
		in_fixture(a_posix_lock_is_named_by_its_process_whatever_the_record_says),
		in_fixture(a_shared_disk_of_libvirts_goes_with_shared_writers_only),
		in_fixture(the_record_of_a_dead_holder_is_not_believed),
		in_fixture(a_record_of_this_host_before_its_last_boot_is_not_believed),
		in_fixture(hostile_names_reach_nobodys_terminal),
		in_fixture(the_lock_that_a_corpse_leaves_is_waited_for),
		in_fixture(the_record_of_who_is_just_taking_it_is_waited_for),
		in_fixture(to_look_tells_the_mode_and_takes_nothing),
		in_fixture(the_scan_finds_only_who_is_in_the_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
