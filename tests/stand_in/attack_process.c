/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/kcmp.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stand_in.h"

/* Every descriptor that the supervisor may have; it has its own at the low end. */
#define SUPERVISOR_FDS 64

static void fetch_descriptors(const struct prey *prey)
{
	int pidfd = tried("pidfd_open", syscall(SYS_pidfd_open, prey->supervisor, 0)), fd;
	long got = -1;

	for (fd = 0; fd < SUPERVISOR_FDS; fd++) {
		got = syscall(SYS_pidfd_getfd, pidfd, fd, 0);
		if (got < 0 && errno != EPERM && errno != EBADF)
			break;
		if (got >= 0) {
			set_lock(got, F_OFD_SETLK, F_UNLCK, 0, 0);
			break;
		}
	}
	tried("pidfd_getfd", got);
	close(pidfd);
}

static void open_below_proc(const struct prey *prey)
{
	static const struct {
		const char *name;
		int flags;
	} files[] = {
		{ "mem", O_RDWR },
		{ "fd", O_RDONLY | O_DIRECTORY },
		{ "fdinfo", O_RDONLY | O_DIRECTORY },
		{ "fd/3", O_RDWR | O_NONBLOCK },
		{ "environ", O_RDONLY },
		{ "maps", O_RDONLY },
		{ "root/", O_RDONLY },
		{ "cwd/", O_RDONLY },
		{ "map_files", O_RDONLY | O_DIRECTORY },
		{ "oom_score_adj", O_WRONLY },
		{ "coredump_filter", O_WRONLY },
		{ "task/../mem", O_RDWR },
	};
	char path[64];
	size_t i;
	int fd;

	for (i = 0; i < sizeof(files) / sizeof(files[0]); i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", prey->supervisor, files[i].name);
		fd = tried(files[i].name, open(path, files[i].flags | O_CLOEXEC));
		if (fd >= 0)
			close(fd);
	}
}

static void attach(const struct prey *prey)
{
	if (tried("PTRACE_ATTACH", ptrace(PTRACE_ATTACH, prey->supervisor, NULL, NULL)) == 0)
		ptrace(PTRACE_DETACH, prey->supervisor, NULL, NULL);
}

static void seize(const struct prey *prey)
{
	if (tried("PTRACE_SEIZE", ptrace(PTRACE_SEIZE, prey->supervisor, NULL, NULL)) == 0)
		ptrace(PTRACE_DETACH, prey->supervisor, NULL, NULL);
}

static long seizes_as_root(void *data)
{
	if (unshare(CLONE_NEWUSER) < 0)
		return -1;
	return ptrace(PTRACE_SEIZE, *(const pid_t *)data, NULL, NULL);
}

static void seize_from_namespace(const struct prey *prey)
{
	in_child("PTRACE_SEIZE", seizes_as_root, (void *)&prey->supervisor);
}

static void touch_memory(const struct prey *prey)
{
	char byte = 0;
	struct iovec ours = { &byte, 1 }, its = { (void *)0x1000, 1 };
	pid_t pid = prey->supervisor;

	tried("process_vm_readv", process_vm_readv(pid, &ours, 1, &its, 1, 0));
	tried("process_vm_writev", process_vm_writev(pid, &ours, 1, &its, 1, 0));
	tried("kcmp", syscall(SYS_kcmp, getpid(), pid, KCMP_FILE, 0, 0));
}

static void enter_namespaces(const struct prey *prey)
{
	int pidfd = syscall(SYS_pidfd_open, prey->supervisor, 0);

	tried("setns", setns(pidfd, CLONE_NEWNS | CLONE_NEWPID));
	close(pidfd);
}

/* Descriptors that it opens from now on would be too many. */
static void limit(const struct prey *prey)
{
	struct rlimit none = { 0 };

	tried("prlimit", prlimit(prey->supervisor, RLIMIT_NOFILE, &none, NULL));
}

static void stop(const struct prey *prey)
{
	tried("SIGSTOP", kill(prey->supervisor, SIGSTOP));
}

/* It asks us to quit, and we do not. */
static void terminate(const struct prey *prey)
{
	signal(SIGTERM, SIG_IGN);
	tried("SIGTERM", kill(prey->supervisor, SIGTERM));
}

/* What it has a use for, and no end of its own. */
static void confuse(const struct prey *prey)
{
	static const int signals[] = { SIGCHLD, SIGCONT, SIGPIPE, SIGUSR1, SIGUSR2, SIGWINCH };
	size_t i;
	long ret = 0;

	signal(SIGUSR1, SIG_IGN); /* these are passed on to us */
	signal(SIGUSR2, SIG_IGN);
	for (i = 0; i < sizeof(signals) / sizeof(signals[0]) && ret == 0; i++)
		ret = kill(prey->supervisor, signals[i]);
	tried("kill", ret);
}

const struct attack process_attacks[] = {
	{ "pidfd-getfd", fetch_descriptors },
	{ "proc", open_below_proc },
	{ "ptrace-attach", attach },
	{ "ptrace-seize", seize },
	{ "ptrace-user-namespace", seize_from_namespace },
	{ "memory", touch_memory },
	{ "setns", enter_namespaces },
	{ "prlimit", limit },
	{ "sigstop", stop },
	{ "sigterm", terminate },
	{ "signals", confuse },
	{ NULL, NULL },
};
