/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/deadman.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdnoreturn.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/process.h"
#include "launcher/trace.h"

#define CLOSE_MAX (1 << 20) /* who allows more has none that high: the lowest free one is taken */

/* Also where a filter of system calls knows no close_range (Linux 5.9). */
static void close_from_to(unsigned first, unsigned last)
{
	struct rlimit limit = { .rlim_max = CLOSE_MAX };
	unsigned fd;

	if (first > last || close_range(first, last, 0) == 0)
		return;
	getrlimit(RLIMIT_NOFILE, &limit);
	for (fd = first; fd <= last && fd < limit.rlim_max && fd < CLOSE_MAX; fd++)
		close(fd);
}

/* Locks, sockets and terminals of ours must not live on with it. */
static void close_all_but(unsigned one, unsigned other)
{
	unsigned low = one < other ? one : other, high = one < other ? other : one;

	if (low > 0)
		close_from_to(0, low - 1);
	close_from_to(low + 1, high - 1);
	close_from_to(high + 1, ~0U);
}

/* Other threads are not here, and may have held any lock of the C library's: system calls only. */
static noreturn void watch(int pipe, const struct deadman_prey *prey)
{
	sigset_t all;
	char nothing;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL); /* what a terminal sends to the group is not for it */
	prctl(PR_SET_NAME, "qemu-deadman"); /* killall(1) of vmlatch leaves it */
	close_all_but(pipe, prey->pidfd);
	while (read(pipe, &nothing, 1) < 0 && errno == EINTR)
		;
	pidfd_signal(prey->pidfd, SIGKILL);
	if (prey->starter)
		trace_kill(prey->starter, prey->start_time);
	_exit(0);
}

int deadman_start(struct deadman *deadman, const struct deadman_prey *prey)
{
	int ends[2];
	pid_t pid;

	if (deadman->pipe >= 0)
		return 0;
	if (pipe2(ends, O_CLOEXEC) < 0)
		return -errno;
	pid = fork();
	if (pid < 0) {
		int code = -errno;

		close(ends[0]);
		close(ends[1]);
		return code;
	}
	if (pid == 0)
		watch(ends[0], prey);
	close(ends[0]);
	*deadman = (struct deadman){ .pid = pid, .pipe = ends[1] };
	return 0;
}

int deadman_look(struct deadman *deadman)
{
	siginfo_t info = { 0 };

	if (deadman->pid <= 0)
		return 0;
	if (waitid(P_PID, deadman->pid, &info, WEXITED | WNOHANG) < 0 || info.si_pid == 0)
		return 0;
	deadman->pid = 0;
	if (deadman->pipe < 0)
		return 0;
	close(deadman->pipe);
	deadman->pipe = -1;
	return -ECHILD;
}

void deadman_stop(struct deadman *deadman)
{
	if (deadman->pipe < 0)
		return;
	/* first, so that the pipe's end is nothing that it could still act on */
	kill(deadman->pid, SIGKILL);
	close(deadman->pipe);
	deadman->pipe = -1;
}
