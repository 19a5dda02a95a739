/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/detach.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log_output.h"
#include "base/process.h"

/* The one in between: its exit code is the errno that the second fork has failed with. */
static void leave_child_behind(void)
{
	pid_t pid;

	setsid();
	pid = fork();
	if (pid != 0)
		_exit(pid < 0 ? errno : 0);
}

static int reap(pid_t pid)
{
	int status = 0;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	if (!WIFEXITED(status))
		return -ECHILD; /* somebody has killed it */
	return -WEXITSTATUS(status);
}

int detach_fork(struct error *err)
{
	pid_t pid = fork();
	int ret = pid < 0 ? -errno : 0;

	if (pid == 0) {
		leave_child_behind();
		return 0;
	}
	if (ret == 0)
		ret = reap(pid);
	if (ret < 0)
		return error_status(err, error_set(err, ret, "fork: %s", strerror(-ret)), EX_OSERR);
	return DETACH_STARTED;
}

static bool is_ours(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags < 0 || flags & FD_CLOEXEC;
}

/* All of ours are close-on-exec from birth, and what came over our exec is not. */
static void close_inherited(void)
{
	DIR *listing = opendir("/proc/self/fd");
	struct dirent *entry;

	if (!listing)
		return;
	while ((entry = readdir(listing))) {
		int fd = atoi(entry->d_name); /* "." and "..": 0 */

		if (fd > STDERR_FILENO && !is_ours(fd))
			close(fd);
	}
	closedir(listing);
}

void detach_let_go(const char *name)
{
	int nothing = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (nothing >= 0) {
		dup2(nothing, STDIN_FILENO);
		dup2(nothing, STDOUT_FILENO);
		close(nothing);
	}
	close_inherited();
	if (chdir("/") < 0)
		return; /* it cannot fail; and if so, a file system stays busy */
	process_set_title(name);
}

void detach_let_go_of_errors(int fd)
{
	if (fd < 0)
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	dup2(fd, STDERR_FILENO);
	close(fd);
	log_output_wait(); /* for a file that is ours */
}
