/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/file.h"
#include "launcher/vm/rundir.h"
#include "launcher/vm/rundir_lock.h"

#define CLAIM_TRIES     100
#define LEAVING_MS      2000 /* how long a VM that has ended may take to clear its name */
#define LEAVING_STEP_MS 5

/*
 * Claiming and removing a directory meet: who locks a file that another one has
 * just unlinked holds nothing. So after the lock the names are looked up again,
 * and the claim starts anew if they stand for something else by now.
 */
enum { CLAIM_AGAIN = 2, CLAIM_LEAVING = 3 };

/* Everything in the directory but the lock. Nobody else may touch it now. */
static void remove_contents(int dir)
{
	int copy = openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *listing = copy < 0 ? NULL : fdopendir(copy);
	struct dirent *entry;

	if (!listing) {
		closep(&copy);
		return;
	}
	while ((entry = readdir(listing))) {
		if (strcmp(entry->d_name, RUNDIR_LOCK) != 0)
			unlinkat(dir, entry->d_name, 0); /* "." and ".." cannot be */
	}
	closedir(listing);
}

static bool same_file(int fd, int at, const char *name)
{
	struct stat ours, there;

	return fstat(fd, &ours) == 0 && fstatat(at, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
	       ours.st_dev == there.st_dev && ours.st_ino == there.st_ino;
}

/*
 * Its QEMU is dead, or it is so young or old that it has no state: in a moment the
 * name is free or in use. Who has waited for a QEMU that ran in place starts the
 * next one while its supervisor, which nobody waits for, is still about to go.
 */
static bool is_leaving(const struct rundir *rundir)
{
	_cleanup_(vm_state_finish) struct vm_state state = { 0 };
	int ret = vm_state_load(rundir->fd, STATE_FILE, &state, NULL);

	return ret == -ENOENT || (ret == 0 && state.qemu.pid > 0 && !vm_state_is_alive(&state));
}

static int say_running(const struct rundir *rundir, struct error *err)
{
	_cleanup_(vm_entry_finish) struct vm_entry entry = { 0 };
	pid_t pid = rundir_lock_pid(rundir->fd);

	if (rundir_look(rundir, rundir->name, &entry) == 0 && entry.readable)
		pid = entry.state.supervisor.pid;
	error_status(err, 0, EX_TEMPFAIL);
	if (pid <= 0)
		return error_set(
			err, RUNDIR_IN_USE, "VM '%s' is just starting or ending", rundir->name);
	return error_set(err, RUNDIR_IN_USE, "VM '%s' is already running (supervisor pid %d)",
		rundir->name, pid);
}

static int say_unsupervised(const struct vm_state *state, struct error *err)
{
	error_status(err, 0, EX_TEMPFAIL);
	return error_set(err, RUNDIR_IN_USE,
		"VM '%s' is running unsupervised: its supervisor died, QEMU (pid %d) runs on and "
		"keeps its disks; 'kill %d' ends it",
		state->name, state->qemu.pid, state->qemu.pid);
}

/* The end record of a VM that could not write its own. 0 or -errno. */
static int record_end(const struct rundir *rundir, struct vm_state *state, struct error *err)
{
	struct stat info;
	char *gone;

	if (!state->ended) {
		gone = strdup("gone");
		if (!gone)
			return error_set(err, -ENOMEM, "out of memory");
		free(state->run_state);
		state->run_state = gone;
		state->ended = true;
		state->end_status = EX_SOFTWARE; /* nobody has seen a better number */
		state->end_from_qemu = false;
		/* when it was last heard of */
		state->end_time =
			fstatat(rundir->fd, STATE_FILE, &info, 0) == 0 ? info.st_mtime : 0;
	}
	return rundir_save_end(rundir, state, err);
}

/* We hold the lock: what has the last VM of this name left? */
static int clear_leftovers(const struct rundir *rundir, struct error *err)
{
	_cleanup_(vm_state_finish) struct vm_state state = { 0 };
	int ret;

	ret = vm_state_load(rundir->fd, STATE_FILE, &state, err);
	if (ret < 0 && ret != -ENOENT)
		return error_prefix(err, ret,
			"what the last VM '%s' left in %s cannot be understood (remove the "
			"directory if its QEMU is gone)",
			rundir->name, rundir->path);
	if (ret == 0) {
		if (vm_state_is_alive(&state))
			return say_unsupervised(&state, err);
		ret = record_end(rundir, &state, err);
		if (ret < 0)
			return ret;
	}
	remove_contents(rundir->fd);
	return 0;
}

/* What a claim has made. Not empty: somebody else has claimed it by now, and keeps it. */
static void remove_claim(const struct rundir *rundir)
{
	if (rundir->lock_fd >= 0)
		unlinkat(rundir->fd, RUNDIR_LOCK, 0);
	unlinkat(rundir->root_fd, rundir->name, AT_REMOVEDIR);
}

/* One attempt; what it opened stays in @rundir. */
static int try_claim(struct rundir *rundir, struct error *err)
{
	int ret;

	rundir->fd = file_open_dir(rundir->root_fd, rundir->name, 0700, err);
	if (rundir->fd < 0)
		return rundir->fd == -ENOENT ? CLAIM_AGAIN : rundir->fd;
	rundir->lock_fd = rundir_lock_open(rundir->fd, err);
	if (rundir->lock_fd == -ENOENT)
		return CLAIM_AGAIN;
	if (rundir->lock_fd < 0) {
		remove_claim(rundir);
		return rundir->lock_fd;
	}
	ret = rundir_lock_take(rundir->lock_fd, err);
	if (ret < 0)
		return ret;
	if (ret > 0)
		return is_leaving(rundir) ? CLAIM_LEAVING : say_running(rundir, err);
	if (!same_file(rundir->fd, rundir->root_fd, rundir->name) ||
		!same_file(rundir->lock_fd, rundir->fd, RUNDIR_LOCK))
		return CLAIM_AGAIN;
	ret = clear_leftovers(rundir, err);
	if (ret)
		return ret;
	ret = rundir_lock_sign(rundir->lock_fd, err);
	if (ret < 0)
		remove_claim(rundir);
	return ret;
}

static void drop_claim(struct rundir *rundir)
{
	closep(&rundir->fd);
	closep(&rundir->lock_fd);
	rundir->fd = rundir->lock_fd = -1;
}

int rundir_claim(struct rundir *rundir, const char *name, struct error *err)
{
	int64_t give_up = clock_monotonic_ms() + LEAVING_MS;
	struct str path = { 0 };
	int i, ret = CLAIM_AGAIN;

	str_printf(&path, "%s/%s", rundir->root, name);
	rundir->path = str_take(&path);
	if (!rundir->path)
		return error_set(err, -ENOMEM, "out of memory");
	snprintf(rundir->name, sizeof(rundir->name), "%s", name);
	for (i = 0; i < CLAIM_TRIES && ret == CLAIM_AGAIN; i++) {
		drop_claim(rundir);
		ret = try_claim(rundir, err);
		while (ret == CLAIM_LEAVING && clock_monotonic_ms() < give_up) {
			drop_claim(rundir);
			clock_sleep_ms(LEAVING_STEP_MS);
			ret = try_claim(rundir, err);
		}
	}
	if (ret == CLAIM_LEAVING)
		ret = say_running(rundir, err);
	if (ret == 0)
		return 0;
	drop_claim(rundir);
	free(take_ptr(rundir->path));
	if (ret == CLAIM_AGAIN)
		ret = error_set(
			err, -EAGAIN, "VM '%s' is being started and ended all the time", name);
	if (ret < 0)
		error_prefix(err, ret, "runtime directory %s", rundir->root);
	return ret < 0 ? error_status(err, ret, EX_CANTCREAT) : ret;
}

void rundir_remove(struct rundir *rundir)
{
	if (rundir->lock_fd < 0)
		return;
	remove_contents(rundir->fd);
	remove_claim(rundir);
	drop_claim(rundir);
	free(take_ptr(rundir->path));
}
