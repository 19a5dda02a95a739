/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "stand_in.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

static char report[65536];

void note(const char *call, const char *result)
{
	size_t used = strlen(report);

	snprintf(report + used, sizeof(report) - used, "%s=%s\n", call, result);
}

long tried(const char *call, long ret)
{
	note(call, ret < 0 ? strerrorname_np(errno) : "OK");
	return ret;
}

int disk_fds(const struct prey *prey, int fds[static DISK_FDS_MAX])
{
	DIR *listing = opendir("/proc/self/fd");
	struct dirent *entry;
	struct stat info;
	int n = 0;

	while (listing && n < DISK_FDS_MAX && (entry = readdir(listing))) {
		int fd = atoi(entry->d_name);

		if (entry->d_name[0] != '.' && fstat(fd, &info) == 0 && info.st_dev == prey->dev &&
			info.st_ino == prey->ino)
			fds[n++] = fd;
	}
	if (listing)
		closedir(listing);
	return n;
}

void by_each_fd(const struct prey *prey, const char *call, long (*act)(int fd))
{
	int fds[DISK_FDS_MAX], n = disk_fds(prey, fds), i, code = n ? 0 : ENODATA;

	for (i = 0; i < n; i++) {
		if (act(fds[i]) < 0)
			code = errno;
	}
	errno = code;
	tried(call, code ? -1 : 0);
}

long set_lock(int fd, int command, short type, off_t first, off_t n)
{
	struct flock lock = { .l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = n };

	return fcntl(fd, command, &lock);
}

void in_child(const char *call, long (*act)(void *data), void *data)
{
	pid_t pid = fork();
	int status;

	if (pid == 0) {
		for (status = 1; status < NSIG; status++)
			signal(status, SIG_DFL);
		_exit(act(data) < 0 ? errno : 0);
	}
	if (pid < 0 || waitpid(pid, &status, 0) < 0) {
		tried(call, -1);
	} else if (WIFSIGNALED(status)) {
		char name[32];

		snprintf(name, sizeof(name), "SIG%s", sigabbrev_np(WTERMSIG(status)));
		note(call, name);
	} else {
		errno = WEXITSTATUS(status);
		tried(call, errno ? -1 : 0);
	}
}

static int obey(int control)
{
	static const struct attack *const tables[] = { lock_attacks, ring_attacks, process_attacks,
		file_attacks, monitor_attacks };
	struct sockaddr_un sender;
	socklen_t size = sizeof(sender);
	struct prey prey = { 0 };
	char line[1024], name[64];
	const struct attack *attack;
	struct stat info;
	size_t i;
	ssize_t n = recvfrom(control, line, sizeof(line) - 1, 0, (struct sockaddr *)&sender, &size);

	if (n < 0)
		return -1;
	line[n] = '\0';
	report[0] = '\0';
	if (sscanf(line, "%63s %d %255s %255s", name, &prey.supervisor, prey.rundir, prey.disk) !=
		4)
		return -1;
	if (stat(prey.disk, &info) == 0)
		prey.dev = info.st_dev, prey.ino = info.st_ino;
	for (i = 0; i < sizeof(tables) / sizeof(tables[0]); i++) {
		for (attack = tables[i]; attack->name; attack++) {
			if (strcmp(attack->name, name) == 0)
				attack->act(&prey);
		}
	}
	return sendto(control, report, strlen(report), 0, (struct sockaddr *)&sender, size);
}

static int control_open(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	if (fd < 0 || bind(fd, (struct sockaddr *)&address, sizeof(address)) < 0) {
		perror(path);
		exit(1);
	}
	return fd;
}

/* What "exec" executes: a program that unlocks the descriptor that it has inherited. */
static int unlock_and_leave(const char *number)
{
	return set_lock(atoi(number), F_OFD_SETLK, F_UNLCK, 0, 0) < 0 ? errno : 0;
}

int main(int argc, char **argv)
{
	const char *path = getenv("STAND_IN_SOCKET");
	struct pollfd ready[2] = { { .events = POLLIN }, { .events = POLLIN } };

	if (argc == 3 && strcmp(argv[1], "--unlock") == 0)
		return unlock_and_leave(argv[2]);
	if (!path)
		return 2;
	signal(SIGPIPE, SIG_IGN);
	monitor_start(argv);
	ready[0].fd = control_open(path);
	for (;;) {
		ready[1].fd = monitor_fd();
		if (poll(ready, 2, -1) < 0)
			continue;
		if (ready[1].revents)
			monitor_turn();
		if (ready[0].revents)
			obey(ready[0].fd);
	}
}
