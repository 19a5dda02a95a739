/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"

#define TEXT_MAX      65536
#define ARGUMENTS_MAX (4 << 20)
#define GIVEN         "/dev/fd/"
#define KILL_AGAIN_US 1000
#define TRIED_START   "# tried "
#define TRIED_MAX     900 /* QEMU reads lines of 1,023 bytes */

void trace_finish(struct trace *trace)
{
	if (trace->fd >= 0)
		close(trace->fd);
	strv_finish(&trace->tried);
	*trace = (struct trace)TRACE_INIT;
}

static int line_of(pid_t pid, uint64_t start, struct str *out)
{
	str_printf(out, "# vmlatch %d %" PRIu64 "\n", pid, start);
	return out->failed ? -ENOMEM : 0;
}

static int owner_line(struct str *out)
{
	uint64_t start;
	int ret = process_start_time(getpid(), &start);

	return ret < 0 ? ret : line_of(getpid(), start, out);
}

int trace_text(const char *binary, struct str *out)
{
	int ret = owner_line(out);

	if (ret == 0 && strlen(binary) < TRIED_MAX && !strchr(binary, '\n'))
		str_printf(out, TRIED_START "%s\n", binary);
	return out->failed ? -ENOMEM : ret;
}

/* A program that goes on by another one, which it may start in a process of its own. */
static bool is_script(const char *path)
{
	_cleanup_(closep) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char start[2];

	return fd >= 0 && fd_read_all(fd, start, sizeof(start)) == 2 && memcmp(start, "#!", 2) == 0;
}

static int understand(struct trace *trace, char *text, bool ours)
{
	char *line, *rest = text;
	int ret = 0;

	while (ret == 0 && (line = strsep(&rest, "\n"))) {
		if (!str_starts(line, TRIED_START))
			continue;
		line += strlen(TRIED_START);
		if (!strv_has(&trace->tried, line) && (ours || is_script(line)))
			ret = strv_add(&trace->tried, line);
	}
	return ret;
}

/* Has who it belongs to handed it on to us, as QEMU's? */
static bool is_handed_on(char **argv, int number)
{
	char given[32];

	snprintf(given, sizeof(given), GIVEN "%d", number);
	for (; argv[0]; argv++) {
		if (strcmp(argv[0], "-readconfig") == 0 && argv[1] && strcmp(argv[1], given) == 0)
			return true;
	}
	return false;
}

/* By a description of its own: QEMU's would be at the end of the file. */
static int try_fd(struct trace *trace, char **argv, int number, bool monitor)
{
	_cleanup_(str_finish) struct str owner = { 0 };
	_cleanup_(freep) char *text = NULL;
	bool handed_on = monitor && is_handed_on(argv, number);
	char path[64];
	bool ours;
	int ret;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", number);
	ret = file_read_at(AT_FDCWD, path, 0, TEXT_MAX, &text, NULL);
	if (ret == 0)
		ret = owner_line(&owner);
	if (ret < 0)
		return ret;
	ours = handed_on || (owner.text && strstr(text, owner.text));
	ret = understand(trace, text, ours);
	if (ret < 0 || !ours)
		return ret;
	trace->locked |= handed_on;
	if (trace->fd >= 0)
		return 0;
	trace->fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	return trace->fd < 0 ? -errno : 0;
}

/* 0, also if it is none of ours. */
static int look_at(struct trace *trace, char **argv, int dir, const char *name)
{
	static const char only[] = "/memfd:" TRACE_ONLY " (deleted)";
	static const char monitor[] = "/memfd:" TRACE_MONITOR " (deleted)";
	char target[sizeof(monitor) + 1];
	ssize_t len = readlinkat(dir, name, target, sizeof(target) - 1);

	if (len < 0)
		return 0; /* "." and ".." */
	target[len] = '\0';
	if (strcmp(target, monitor) != 0 && strcmp(target, only) != 0)
		return 0;
	return try_fd(trace, argv, atoi(name), strcmp(target, monitor) == 0);
}

static int find_failed(int code, struct error *err)
{
	return error_set(
		err, code, "look for an earlier vmlatch in this process: %s", strerror(-code));
}

int trace_find(char **argv, struct trace *trace, struct error *err)
{
	DIR *listing = opendir("/proc/self/fd");
	struct dirent *entry;
	int ret = 0;

	if (!listing)
		return find_failed(-errno, err);
	while (ret == 0 && (entry = readdir(listing)))
		ret = look_at(trace, argv, dirfd(listing), entry->d_name);
	closedir(listing);
	return ret < 0 ? find_failed(ret, err) : 0;
}

int trace_add(struct trace *trace, const char *binary, struct error *err)
{
	_cleanup_(str_finish) struct str text = { 0 };
	int ret = 0;

	if (trace->fd < 0) {
		trace->fd = memfd_create(TRACE_ONLY, 0);
		ret = trace->fd < 0 ? -errno : 0;
	}
	if (ret == 0)
		ret = trace_text(binary, &text);
	if (ret == 0)
		ret = fd_write_all(trace->fd, text.text, text.len);
	if (ret < 0)
		return error_set(err, ret, "note what is executed: %s", strerror(-ret));
	return 0;
}

/* Is the memfd that QEMU @pid was given as @path the one that @line names? 1, 0 or -errno. */
static int names(pid_t pid, const char *path, const char *line)
{
	_cleanup_(freep) char *text = NULL;
	char own[64];
	int ret;

	snprintf(own, sizeof(own), "/proc/%d/fd/%d", pid, atoi(path + strlen(GIVEN)));
	ret = file_read_at(AT_FDCWD, own, 0, TEXT_MAX, &text, NULL);
	if (ret == -EACCES || ret == -EPERM)
		return ret; /* it may be */
	return ret == 0 && strstr(text, line);
}

/* Has this process "-readconfig /dev/fd/N" among its arguments, and N is it? 1, 0 or -errno. */
static int uses(pid_t pid, const char *line)
{
	_cleanup_(freep) char *words = NULL;
	const char *word, *next;
	char path[32];
	size_t len;
	int ret = 0;

	snprintf(path, sizeof(path), "/proc/%d/cmdline", pid);
	if (file_read_at(AT_FDCWD, path, 0, ARGUMENTS_MAX, &words, &len) < 0)
		return 0;
	for (word = words; ret != 1 && word < words + len; word = next) {
		int found = 0;

		next = word + strlen(word) + 1;
		if (strcmp(word, "-readconfig") == 0 && next < words + len &&
			str_starts(next, GIVEN))
			found = names(pid, next, line);
		ret = found ? found : ret;
	}
	return ret;
}

bool trace_is_used(pid_t pid, uint64_t start_time)
{
	_cleanup_(str_finish) struct str line = { 0 };
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool found = false;

	if (line_of(pid, start_time, &line) < 0 || !proc)
		found = true; /* who cannot look must not let go */
	while (proc && !found && (entry = readdir(proc)))
		found = atoi(entry->d_name) > 0 && uses(atoi(entry->d_name), line.text) != 0;
	if (proc)
		closedir(proc);
	return found;
}

/* By a pidfd, and asked once more: the number may be another's by now. */
static bool kill_user(pid_t pid, const char *line)
{
	_cleanup_(closep) int pidfd = pidfd_open_cloexec(pid);

	return pidfd >= 0 && uses(pid, line) == 1 && pidfd_signal(pidfd, SIGKILL) == 0;
}

/* Who is dead, and was not waited for, has no arguments any more. */
static bool kill_users(const char *line)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	bool killed = false;

	while (proc && (entry = readdir(proc))) {
		pid_t pid = atoi(entry->d_name);

		if (pid > 0 && pid != getpid() && uses(pid, line) == 1)
			killed |= kill_user(pid, line);
	}
	if (proc)
		closedir(proc);
	return killed;
}

void trace_kill(pid_t pid, uint64_t start_time)
{
	_cleanup_(str_finish) struct str line = { 0 };

	if (line_of(pid, start_time, &line) < 0)
		return;
	while (kill_users(line.text)) /* they may have started others meanwhile */
		usleep(KILL_AGAIN_US);
}
