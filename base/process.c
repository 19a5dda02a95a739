/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/process.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"

int pidfd_open_cloexec(pid_t pid)
{
	int fd = syscall(SYS_pidfd_open, pid, 0);

	return fd < 0 ? -errno : fd;
}

int pidfd_signal(int pidfd, int signal)
{
	return syscall(SYS_pidfd_send_signal, pidfd, signal, NULL, 0) < 0 ? -errno : 0;
}

struct process_stat {
	char state;
	long threads;
	uint64_t start_time;
};

static int stat_read(pid_t pid, struct process_stat *ret)
{
	_cleanup_(freep) char *text = NULL;
	char path[64];
	char *fields;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	err = file_read_at(AT_FDCWD, path, 0, 4096, &text, NULL);
	if (err < 0)
		return err;
	fields = strrchr(text, ')'); /* the name before it may contain anything */
	if (!fields || sscanf(fields,
			       ") %c %*d %*d %*d %*d %*d %*u %*u %*u %*u %*u %*u %*u %*d %*d %*d "
			       "%*d %ld %*d %" SCNu64,
			       &ret->state, &ret->threads, &ret->start_time) != 3)
		return -EINVAL;
	return 0;
}

int process_start_time(pid_t pid, uint64_t *ret)
{
	struct process_stat stat;
	int err = stat_read(pid, &stat);

	if (err < 0)
		return err;
	if (stat.state == 'X' || (stat.state == 'Z' && stat.threads <= 1))
		return -ESRCH;
	*ret = stat.start_time;
	return 0;
}

bool process_is_stopped(pid_t pid)
{
	struct process_stat stat;

	return stat_read(pid, &stat) == 0 && (stat.state == 'T' || stat.state == 't');
}

/* The file's text has "KEY:\tVALUE" in each line. */
static int status_read(pid_t pid, char **ret)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/status", pid);
	return file_read_at(AT_FDCWD, path, 0, 65536, ret, NULL);
}

int process_of_thread(pid_t thread, struct process_thread *ret)
{
	static const char group[] = "\nTgid:\t", name[] = "Name:\t";
	_cleanup_(freep) char *text = NULL;
	int code = status_read(thread, &text);
	const char *at;

	if (code < 0)
		return code;
	at = strstr(text, group);
	if (!at || !str_starts(text, name))
		return -EINVAL;
	ret->process = atoi(at + sizeof(group) - 1);
	text[strcspn(text, "\n")] = '\0';
	str_printable(text + sizeof(name) - 1, ret->name, sizeof(ret->name));
	return 0;
}

bool process_awaits_signal(pid_t pid, int signal)
{
	static const char key[] = "\nShdPnd:\t";
	_cleanup_(freep) char *text = NULL;
	const char *at;

	if (status_read(pid, &text) < 0)
		return false;
	at = strstr(text, key);
	return at && strtoull(at + sizeof(key) - 1, NULL, 16) & UINT64_C(1) << (signal - 1);
}

bool process_sees_itself(void)
{
	char self[16] = "";

	return readlink("/proc/self", self, sizeof(self) - 1) > 0 && atoi(self) == getpid();
}

int process_is_alive(pid_t pid, uint64_t start_time)
{
	uint64_t now;

	if (pid <= 0 || process_start_time(pid, &now) < 0)
		return 0;
	return start_time == 0 || start_time == now;
}

/* The room that main()'s arguments have, which lie one behind the other. */
static struct {
	char *text;
	size_t size;
} arguments;

void process_remember_arguments(char **argv)
{
	arguments.text = argv[0];
	for (; *argv && *argv == arguments.text + arguments.size; argv++)
		arguments.size += strlen(*argv) + 1;
}

void process_set_title(const char *title)
{
	prctl(PR_SET_NAME, "vmlatch");
	if (!arguments.size)
		return;
	memset(arguments.text, 0, arguments.size);
	snprintf(arguments.text, arguments.size, "vmlatch: %s", title);
}

void process_hide(void)
{
	prctl(PR_SET_DUMPABLE, 0);
}

/* <linux/pidfd.h> of 6.15, which the C library's headers do not have. */
struct pidfd_info {
	uint64_t mask;
	uint64_t cgroup_id;
	uint32_t ids[11]; /* pid, tgid, ppid, and the users and groups */
	int32_t exit_code;
};
#define PIDFD_INFO_EXIT (UINT64_C(1) << 3)
#define PIDFD_GET_INFO  _IOWR(0xFF, 11, struct pidfd_info)

int pidfd_wait_status(int pidfd, int *ret)
{
	struct pidfd_info info = { .mask = PIDFD_INFO_EXIT };

	if (ioctl(pidfd, PIDFD_GET_INFO, &info) < 0)
		return -errno;
	if (!(info.mask & PIDFD_INFO_EXIT))
		return -EAGAIN;
	*ret = info.exit_code;
	return 0;
}

int process_boot_id(char id[static BOOT_ID_SIZE])
{
	static _Thread_local char
		known[BOOT_ID_SIZE]; /* it cannot change, and is asked for often */
	_cleanup_(freep) char *text = NULL;
	int err;

	if (!*known) {
		err = file_read_at(AT_FDCWD, "/proc/sys/kernel/random/boot_id", 0, 64, &text, NULL);
		if (err < 0)
			return err;
		if (strlen(text) < BOOT_ID_SIZE - 1)
			return -EINVAL;
		memcpy(known, text, BOOT_ID_SIZE - 1);
	}
	memcpy(id, known, BOOT_ID_SIZE);
	return 0;
}

int uuid_generate(char uuid[static UUID_SIZE])
{
	unsigned char b[16];

	if (getrandom(b, sizeof(b), 0) != (ssize_t)sizeof(b))
		return -errno;
	b[6] = (b[6] & 0x0f) | 0x40;
	b[8] = (b[8] & 0x3f) | 0x80;
	snprintf(uuid, UUID_SIZE,
		"%02x%02x%02x%02x-%02x%02x-%02x%02x-%02x%02x-%02x%02x%02x%02x%02x%02x", b[0], b[1],
		b[2], b[3], b[4], b[5], b[6], b[7], b[8], b[9], b[10], b[11], b[12], b[13], b[14],
		b[15]);
	return 0;
}

void process_die_of(int signal)
{
	struct rlimit no_core = { 0 };
	struct sigaction action = { .sa_handler = SIG_DFL };
	sigset_t only;

	setrlimit(RLIMIT_CORE, &no_core);
	sigaction(signal, &action, NULL);
	sigemptyset(&only);
	sigaddset(&only, signal);
	sigprocmask(SIG_UNBLOCK, &only, NULL);
	raise(signal);
}
