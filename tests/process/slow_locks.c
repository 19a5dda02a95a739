/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

/*
 * Preloaded into vmlatch by a test: lock calls hang while SLOW_LOCKS_DIR has a
 * file named after them ("lock", "unlock", "probe", "read", "xattr"), and leave a file
 * "NAME.waits" when they begin to. So does the first that has said something by
 * send() ("said"), but for forked processes. No descriptor is duplicated while there is a
 * file "no-dup", no lock is possible while there is a file "no-locks", and none is
 * taken, though all say yes, while there is a file "lying-locks"; no name can be looked at
 * by lstat() while there is a file "no-look". In a forked process no step towards QEMU's
 * privileges succeeds while there is a file "no-bounds", "no-user", "no-capset" or
 * "no-new-privs". The monotonic clock is an hour ahead as soon as there is a file "late"
 * (two: "later"), so that deadlines can be met without waiting.
 */

#define EXPORT  __attribute__((visibility("default")))
#define STEP_US 2000

static bool is_there(const char *name)
{
	const char *dir = getenv("SLOW_LOCKS_DIR");
	char path[4096];
	int before = errno;
	bool there;

	if (!dir)
		return false;
	snprintf(path, sizeof(path), "%s/%s", dir, name);
	there = access(path, F_OK) == 0;
	errno = before;
	return there;
}

static void leave_note(const char *name)
{
	char path[4096];
	int fd;

	snprintf(path, sizeof(path), "%s/%s.waits", getenv("SLOW_LOCKS_DIR"), name);
	fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd >= 0)
		close(fd);
}

static void hang_while(const char *name)
{
	if (!is_there(name))
		return;
	leave_note(name);
	while (is_there(name))
		usleep(STEP_US);
}

static int pass_fcntl(const char *symbol, int fd, int command, void *argument)
{
	int (*next)(int, int, ...) = dlsym(RTLD_NEXT, symbol);
	const struct flock *want = argument;

	if (command == F_OFD_SETLK && is_there("no-locks")) {
		errno = ENOLCK;
		return -1;
	}
	if (command == F_OFD_SETLK && is_there("lying-locks"))
		return 0;
	if (command == F_OFD_SETLK && want->l_start < 100)
		hang_while(want->l_type == F_UNLCK ? "unlock" : "lock");
	if (command == F_OFD_GETLK && want->l_start > 100)
		hang_while("probe");
	if (command == F_DUPFD_CLOEXEC && is_there("no-dup")) {
		errno = EMFILE;
		return -1;
	}
	return next(fd, command, argument);
}

/* By symbol: which of the two the name 'fcntl' means depends on _FILE_OFFSET_BITS. */
EXPORT int hook_fcntl(int fd, int command, void *argument) __asm__("fcntl");
EXPORT int hook_fcntl64(int fd, int command, void *argument) __asm__("fcntl64");

int hook_fcntl(int fd, int command, void *argument)
{
	return pass_fcntl("fcntl", fd, command, argument);
}

int hook_fcntl64(int fd, int command, void *argument)
{
	return pass_fcntl("fcntl64", fd, command, argument);
}

/* Of the same structure on 64 bits; which of them is meant depends on the build, too. */
EXPORT int hook_lstat(const char *path, struct stat *info) __asm__("lstat");
EXPORT int hook_lstat64(const char *path, struct stat *info) __asm__("lstat64");

static int pass_lstat(const char *symbol, const char *path, struct stat *info)
{
	int (*next)(const char *, struct stat *) = dlsym(RTLD_NEXT, symbol);

	if (is_there("no-look")) {
		leave_note("no-look");
		errno = EIO;
		return -1;
	}
	return next(path, info);
}

int hook_lstat(const char *path, struct stat *info)
{
	return pass_lstat("lstat", path, info);
}

int hook_lstat64(const char *path, struct stat *info)
{
	return pass_lstat("lstat64", path, info);
}

EXPORT int fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	int (*next)(int, const char *, const void *, size_t, int) = dlsym(RTLD_NEXT, "fsetxattr");

	hang_while("xattr");
	return next(fd, name, value, size, flags);
}

EXPORT ssize_t fgetxattr(int fd, const char *name, void *value, size_t size)
{
	ssize_t (*next)(int, const char *, void *, size_t) = dlsym(RTLD_NEXT, "fgetxattr");

	hang_while("read");
	return next(fd, name, value, size);
}

EXPORT int clock_gettime(clockid_t clock, struct timespec *now)
{
	int (*next)(clockid_t, struct timespec *) = dlsym(RTLD_NEXT, "clock_gettime");
	int ret = next(clock, now);

	if (ret == 0 && clock != CLOCK_REALTIME)
		now->tv_sec += is_there("later") ? 7200 : is_there("late") ? 3600 : 0;
	return ret;
}

static pid_t loaded_by;

__attribute__((constructor)) static void remember_who_loads(void)
{
	loaded_by = getpid();
}

static bool is_denied(const char *name)
{
	if (getpid() == loaded_by || !is_there(name))
		return false;
	errno = EPERM;
	return true;
}

EXPORT int prctl(int option, ...)
{
	va_list args;
	unsigned long a, b, c, d;

	va_start(args, option);
	a = va_arg(args, unsigned long);
	b = va_arg(args, unsigned long);
	c = va_arg(args, unsigned long);
	d = va_arg(args, unsigned long);
	va_end(args);
	if (option == PR_CAPBSET_DROP && is_denied("no-bounds"))
		return -1;
	if (option == PR_SET_NO_NEW_PRIVS && is_denied("no-new-privs"))
		return -1;
	return syscall(SYS_prctl, option, a, b, c, d);
}

EXPORT int setresuid(uid_t real, uid_t effective, uid_t saved)
{
	return is_denied("no-user") ? -1 : syscall(SYS_setresuid, real, effective, saved);
}

int capset(void *header, void *data);
EXPORT int capset(void *header, void *data)
{
	return is_denied("no-capset") ? -1 : syscall(SYS_capset, header, data);
}

EXPORT ssize_t send(int fd, const void *bytes, size_t len, int flags)
{
	ssize_t (*next)(int, const void *, size_t, int) = dlsym(RTLD_NEXT, "send");
	ssize_t sent = next(fd, bytes, len, flags);

	if (sent >= 0 && getpid() == loaded_by && !is_there("said.waits"))
		hang_while("said");
	return sent;
}
