/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/starter.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "base/process.h"

/* Leave as QEMU's own parent would have, if that did not go well. */
static void await_end(pid_t pid)
{
	int status;

	while (waitpid(pid, &status, 0) < 0) {
		if (errno != EINTR)
			_exit(EX_OSERR);
	}
	if (WIFSIGNALED(status)) {
		process_die_of(WTERMSIG(status));
		_exit(128 + WTERMSIG(status));
	}
	if (WEXITSTATUS(status))
		_exit(WEXITSTATUS(status));
}

static noreturn void stay(pid_t pid, int word)
{
	int status;

	await_end(pid);
	if (fd_read_all(word, &status, sizeof(status)) != sizeof(status)) {
		log_error("its supervisor has died before it let the guest run");
		status = EX_SOFTWARE;
	}
	_exit(status);
}

/* Ends as we do; who is dead already counts. */
static void tie(pid_t parent)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (getppid() != parent)
		_exit(EX_SOFTWARE);
}

int starter_fork(int *ret, struct error *err)
{
	struct sigaction usual = { .sa_handler = SIG_DFL }, before;
	pid_t parent = getpid(), pid;
	int ends[2], code;

	if (pipe2(ends, O_CLOEXEC) < 0)
		return error_set(err, -errno, "make a pipe: %s", strerror(errno));
	sigaction(SIGCHLD, &usual, &before); /* ignored it would take the child's status away */
	pid = fork();
	code = pid < 0 ? -errno : 0;
	if (pid > 0) {
		close(ends[1]);
		stay(pid, ends[0]);
	}
	close(ends[0]);
	if (code < 0) {
		close(ends[1]);
		return error_set(err, code, "fork: %s", strerror(-code));
	}
	sigaction(SIGCHLD, &before, NULL);
	tie(parent);
	*ret = ends[1];
	return 0;
}

void starter_tell(int fd, int status)
{
	if (fd < 0)
		return;
	fd_write_all(fd, &status, sizeof(status)); /* or it has gone */
	close(fd);
}
