/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/rundir.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "launcher/option_value.h"

#define SYSTEM_DIR "/run/vmlatch"

/* A place where the runtime directory may be. */
struct candidate {
	const char *variable; /* NULL: SYSTEM_DIR */
	const char *suffix;
	bool binding; /* given on purpose: used or refused, never passed over */
};

static const struct candidate candidates[] = {
	{ "VMLATCH_RUNTIME_DIR", "", true },
	{ "RUNTIME_DIRECTORY", "", false },
	{ NULL, "", false },
	{ "XDG_RUNTIME_DIR", "/vmlatch", false },
};

/* What the candidate's variable says; NULL: nothing. */
static const char *candidate_value(const struct candidate *candidate)
{
	const char *value = candidate->variable ? getenv(candidate->variable) : SYSTEM_DIR;

	return value && *value ? value : NULL;
}

/* NULL: no memory. */
static char *candidate_path(const struct candidate *candidate, const char *value)
{
	struct str path = { 0 };

	if (candidate->binding)
		return path_make_absolute(value);
	/* systemd's RUNTIME_DIRECTORY may be a list: the first is ours */
	str_append_bytes(&path, value, strcspn(value, ":"));
	str_append(&path, candidate->suffix);
	return str_take(&path);
}

/* A directory at @path that is ours alone: the descriptor, or -errno with a sentence. */
static int open_root(const char *path, bool create, struct error *err)
{
	_cleanup_(closep) int fd = -1;

	if (create && file_make_parents(path, 0755) < 0)
		return error_set(
			err, -errno, "make the directories above %s: %s", path, strerror(errno));
	fd = create ? file_open_dir(AT_FDCWD, path, 0700, err) : file_look_dir(AT_FDCWD, path, err);
	if (fd < 0)
		return fd;
	if (create && faccessat(fd, ".", W_OK, AT_EACCESS) < 0)
		return error_set(err, -errno, "directory %s: %s", path, strerror(errno));
	return take_fd(&fd);
}

static int try_root(struct rundir *rundir, const char *path, bool create, struct error *err)
{
	_cleanup_(closep) int fd = open_root(path, create, err);
	char *copy;

	if (fd < 0)
		return fd;
	copy = strdup(path);
	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	rundir->root = copy;
	rundir->root_fd = take_fd(&fd);
	return 0;
}

int rundir_open(struct rundir *rundir, bool create, struct error *err)
{
	char last[64];
	size_t i;
	int ret;

	for (i = 0; i < sizeof(candidates) / sizeof(candidates[0]); i++) {
		const char *value = candidate_value(&candidates[i]);
		_cleanup_(freep) char *path = NULL;

		if (!value)
			continue;
		path = candidate_path(&candidates[i], value);
		ret = path ? try_root(rundir, path, create, err)
			   : error_set(err, -ENOMEM, "out of memory");
		if (ret == 0)
			return 0;
		/* want of memory must not lead to another place than the last time */
		if (candidates[i].binding || ret == -ENOMEM)
			return error_status(err, ret, EX_CANTCREAT);
	}
	snprintf(last, sizeof(last), "/tmp/vmlatch-%u", geteuid());
	ret = try_root(rundir, last, create, err);
	if (ret == 0 && fchmod(rundir->root_fd, 0700) < 0) /* /tmp is everybody's */
		ret = error_set(err, -errno, "chmod %s: %s", last, strerror(errno));
	return ret < 0 ? error_status(err, ret, EX_CANTCREAT) : 0;
}

void rundir_finish(struct rundir *rundir)
{
	free(rundir->root);
	free(rundir->path);
	closep(&rundir->root_fd);
	closep(&rundir->fd);
	closep(&rundir->lock_fd);
	*rundir = (struct rundir)RUNDIR_INIT;
}

int rundir_listen(const char *path, struct unix_socket_file *made, struct error *err)
{
	int fd = unix_socket_listen(path, made, err);

	return fd < 0 ? error_status(err, fd, EX_CANTCREAT) : fd;
}

int rundir_save_end(const struct rundir *rundir, const struct vm_state *state, struct error *err)
{
	char name[VM_NAME_SIZE + sizeof(RUNDIR_LAST)];
	int ret;

	/* by way of the VM's own directory: half a file that a SIGKILL leaves is cleaned up with it
	 */
	ret = vm_state_save(rundir->fd, RUNDIR_END, state, err);
	if (ret < 0)
		return ret;
	snprintf(name, sizeof(name), "%s%s", state->name, RUNDIR_LAST);
	if (renameat(rundir->fd, RUNDIR_END, rundir->root_fd, name) < 0)
		return error_set(err, -errno, "write %s: %s", name, strerror(errno));
	return 0;
}

int rundir_open_log(const struct rundir *rundir)
{
	/* QEMU may run by now, as our own user: of a FIFO nobody must make us wait for a reader */
	_cleanup_(closep) int fd = openat(rundir->fd, RUNDIR_LOG,
		O_WRONLY | O_APPEND | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY,
		0600);
	struct stat info;

	if (fd < 0 || fstat(fd, &info) < 0)
		return -errno;
	return S_ISREG(info.st_mode) && info.st_nlink == 1 ? take_fd(&fd) : -EPERM;
}

void rundir_save_log(const struct rundir *rundir)
{
	char name[VM_NAME_SIZE + sizeof(RUNDIR_LAST_LOG)];
	struct stat info;

	snprintf(name, sizeof(name), "%s%s", rundir->name, RUNDIR_LAST_LOG);
	if (fstatat(rundir->fd, RUNDIR_LOG, &info, AT_SYMLINK_NOFOLLOW) == 0 && info.st_size > 0)
		renameat(rundir->fd, RUNDIR_LOG, rundir->root_fd, name);
	else
		unlinkat(rundir->root_fd, name, 0); /* of an earlier VM of this name */
}
