/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/rundir_lock.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/str.h"
#include "launcher/vm/rundir.h"

#define TEXT_MAX 64

static const struct flock whole_file = { .l_type = F_WRLCK, .l_whence = SEEK_SET };

int rundir_lock_open(int dir, struct error *err)
{
	_cleanup_(closep) int fd = -1;
	struct stat info;

	fd = openat(dir, RUNDIR_LOCK,
		O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0 || fstat(fd, &info) < 0)
		return error_set(err, -errno, "open the lock file: %s", strerror(errno));
	if (!S_ISREG(info.st_mode) || info.st_uid != geteuid())
		return error_set(err, -EPERM, "the lock file is no regular file of ours");
	return take_fd(&fd);
}

int rundir_lock_take(int fd, struct error *err)
{
	struct flock want = whole_file;

	if (fcntl(fd, F_OFD_SETLK, &want) == 0)
		return 0;
	if (errno == EAGAIN || errno == EACCES)
		return 1;
	return error_set(err, -errno, "lock the lock file: %s", strerror(errno));
}

int rundir_lock_sign(int fd, struct error *err)
{
	char text[TEXT_MAX];
	int n = snprintf(text, sizeof(text), "%d\n", getpid());

	if (ftruncate(fd, 0) < 0 || pwrite(fd, text, n, 0) != n)
		return error_set(
			err, errno ? -errno : -EIO, "write the lock file: %s", strerror(errno));
	return 0;
}

pid_t rundir_lock_pid(int dir)
{
	_cleanup_(freep) char *text = NULL;
	uint64_t pid;

	if (file_read_at(dir, RUNDIR_LOCK, O_NOFOLLOW, TEXT_MAX, &text, NULL) < 0)
		return 0;
	text[strcspn(text, "\n")] = '\0';
	return str_to_u64(text, &pid) == 0 && pid < INT_MAX ? (pid_t)pid : 0;
}

bool rundir_lock_is_held(int dir)
{
	_cleanup_(closep) int fd = -1;
	struct flock who = whole_file;

	fd = openat(dir, RUNDIR_LOCK, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY);
	if (fd < 0 || fcntl(fd, F_OFD_GETLK, &who) < 0)
		return false;
	return who.l_type != F_UNLCK;
}
