/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/rundir_watch.h"

#include <dirent.h>
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/vm/rundir.h"

#define NO_DIRECTORY_MS 1000

/*
 * IN_CLOSE_WRITE: a supervisor has the file "lock" open for writing until it
 * dies (inotify(7)). IN_ATTRIB: a state file that is out of date.
 */
#define CHANGES (IN_CREATE | IN_DELETE | IN_MOVED_TO | IN_MOVED_FROM | IN_CLOSE_WRITE | IN_ATTRIB)

static int no_watch(struct error *err, const char *path)
{
	return error_set(err, -errno, "watch %s: %s%s", path, strerror(errno),
		errno == ENOSPC ? " (fs.inotify.max_user_watches is too low)" : "");
}

/* A VM's directory; one that has gone meanwhile has been seen to go. */
static int watch_vm(int fd, const char *root, const char *name, struct error *err)
{
	_cleanup_(str_finish) struct str path = { 0 };

	str_printf(&path, "%s/%s", root, name);
	if (path.failed)
		return error_set(err, -ENOMEM, "out of memory");
	if (inotify_add_watch(fd, path.text, CHANGES | IN_ONLYDIR | IN_DONT_FOLLOW) >= 0 ||
		errno == ENOENT || errno == ENOTDIR || errno == EACCES)
		return 0;
	return no_watch(err, path.text);
}

static int watch_vms(int fd, const char *root, struct error *err)
{
	_cleanup_(closedirp) DIR *dir = opendir(root);
	const struct dirent *entry;
	int ret = 0;

	if (!dir)
		return no_watch(err, root);
	while (ret == 0 && (entry = readdir(dir))) {
		if (vm_name_is_valid(entry->d_name) && entry->d_type != DT_REG)
			ret = watch_vm(fd, root, entry->d_name, err);
	}
	return ret;
}

int rundir_watch(struct error *err)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	_cleanup_(closep) int fd = -1;
	int ret;

	ret = rundir_open(&rundir, false, err);
	if (ret < 0)
		return ret;
	fd = inotify_init1(IN_CLOEXEC);
	if (fd < 0 || inotify_add_watch(fd, rundir.root, CHANGES | IN_ONLYDIR) < 0)
		return no_watch(err, rundir.root);
	ret = watch_vms(fd, rundir.root, err);
	return ret < 0 ? ret : take_fd(&fd);
}

int rundir_watch_wait(int fd, int timeout_ms, struct error *err)
{
	struct pollfd change = { .fd = fd, .events = POLLIN };

	if (poll(&change, 1, fd < 0 ? NO_DIRECTORY_MS : timeout_ms) < 0 && errno != EINTR)
		return error_set(err, -errno, "wait for changes: %s", strerror(errno));
	return 0;
}
