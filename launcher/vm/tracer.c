/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/tracer.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

#include "base/cleanup.h"
#include "base/file.h"

/* Each finds threads that were started during the one before; those that are held start none. */
#define MAX_PASSES 64

/* What a wait would tell of a thread, without taking it away. */
static bool peek(const struct tracer *tracer, pid_t tid, siginfo_t *ret)
{
	int options = WSTOPPED | WNOHANG | WNOWAIT | __WALL;

	if (tid != tracer->pid)
		options |= WEXITED;
	*ret = (siginfo_t){ 0 };
	return waitid(P_PID, tid, ret, options) == 0 && ret->si_pid == tid;
}

static void bury(const struct tracer *tracer, pid_t tid)
{
	siginfo_t info;

	if (tid != tracer->pid && peek(tracer, tid, &info) && info.si_code != CLD_TRAPPED)
		waitid(P_PID, tid, &info, WEXITED | WNOHANG | __WALL);
}

/* A thread on its way out cannot be seized (EPERM, as if it were not allowed). */
static bool is_dead(const struct tracer *tracer, pid_t tid)
{
	_cleanup_(freep) char *text = NULL;
	const char *state;
	char path[32];
	int ret;

	snprintf(path, sizeof(path), "%d/stat", tid);
	ret = file_read_at(dirfd(tracer->tasks), path, 0, 4096, &text, NULL);
	if (ret < 0)
		return ret == -ENOENT || ret == -ESRCH;
	state = strrchr(text, ')'); /* the name before it may contain anything */
	return state && (strncmp(state, ") Z", 3) == 0 || strncmp(state, ") X", 3) == 0);
}

/* An interrupt is only taken by what we hold, so it tells that too. */
static bool is_held(pid_t tid)
{
	return ptrace(PTRACE_INTERRUPT, tid, NULL, NULL) == 0;
}

/*
 * Returns 1: it was not held before, or ended just now; look once more. (A thread
 * that ends while /proc/PID/task is read can cut the list short.)
 */
static int hold(const struct tracer *tracer, pid_t tid)
{
	bury(tracer, tid);
	if (is_held(tid))
		return 0;
	/* its number must be one of our namespace: an EXITKILL too many is murder */
	if (tgkill(tracer->pid, tid, 0) < 0 && errno == ESRCH)
		return 1;
	if (ptrace(PTRACE_SEIZE, tid, NULL, PTRACE_O_EXITKILL) < 0) {
		int code = -errno;

		if (code == -ESRCH || is_dead(tracer, tid))
			return tid != tracer->pid;
		return code;
	}
	is_held(tid); /* a SIGSTOP that is under way may be still far from this thread */
	return 1;
}

/*
 * A thread that has stopped to be given a signal gets it now. If that is a stop
 * signal and SIGCONT has come since, the kernel passes over it (kernel/signal.c:
 * ptrace_signal(), do_signal_stop()); if none has come, it stops all the process.
 *
 * Returns 1: it is held still.
 */
static int let_go(const struct tracer *tracer, pid_t tid)
{
	siginfo_t info;

	bury(tracer, tid);
	if (peek(tracer, tid, &info) && info.si_code == CLD_TRAPPED) {
		bool event = info.si_status >> 8 != 0; /* and not a signal */
		long signal = event ? 0 : info.si_status;

		if (ptrace(PTRACE_DETACH, tid, NULL, signal) == 0)
			return 0;
	}
	return is_held(tid);
}

/* Returns the sum of what @visit returns, or its first failure. */
static int for_each_thread(
	struct tracer *tracer, int (*visit)(const struct tracer *tracer, pid_t tid))
{
	struct dirent *entry;
	int ret, sum = 0;

	rewinddir(tracer->tasks);
	while ((entry = readdir(tracer->tasks))) {
		pid_t tid = atoi(entry->d_name);

		if (tid <= 0)
			continue; /* "." and ".." */
		ret = visit(tracer, tid);
		if (ret < 0)
			return ret;
		sum += ret;
	}
	return sum;
}

static int hold_all(struct tracer *tracer)
{
	int passes, ret = 1;

	for (passes = 0; ret > 0 && passes < MAX_PASSES; passes++)
		ret = for_each_thread(tracer, hold);
	if (ret > 0)
		ret = -EAGAIN;
	if (ret < 0)
		tracer_let_go(tracer);
	return ret;
}

int tracer_hold(struct tracer *tracer, pid_t pid)
{
	char path[32];

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	if (!tracer->tasks) {
		tracer->tasks =
			opendir(path); /* kept: later none may be had, for want of descriptors */
		if (!tracer->tasks)
			return -errno;
	}
	tracer->pid = pid;
	tracer->aim = TRACER_HOLDS;
	return hold_all(tracer);
}

bool tracer_holds(const struct tracer *tracer)
{
	return tracer->tasks && tracer->aim == TRACER_HOLDS;
}

int tracer_look(struct tracer *tracer)
{
	if (!tracer->tasks)
		return 0;
	if (tracer->aim == TRACER_HOLDS)
		return hold_all(tracer);
	tracer_let_go(tracer);
	return 0;
}

void tracer_let_go(struct tracer *tracer)
{
	if (!tracer->tasks)
		return;
	tracer->aim = TRACER_LETS_GO;
	if (for_each_thread(tracer, let_go) > 0)
		return;
	closedir(tracer->tasks);
	tracer->tasks = NULL;
}
