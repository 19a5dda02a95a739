/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fault.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/types.h>

static unsigned left; /* 0: not armed */
static bool interrupting;
static bool fired;
static const char *last = "";
static struct {
	const char *name;
	int err;
	unsigned spared;
	void (*happen)(void); /* and then it does not fail */
} always[4];
static size_t n_always;

void fault_arm(unsigned n)
{
	left = n;
	fired = interrupting = false;
}

void fault_interrupt(unsigned n)
{
	fault_arm(n);
	interrupting = true;
}

bool fault_disarm(void)
{
	left = 0;
	return fired;
}

const char *fault_name(void)
{
	return last;
}

void fault_after(const char *name, unsigned spared, int err)
{
	always[n_always].name = name;
	always[n_always].spared = spared;
	always[n_always].happen = NULL;
	always[n_always++].err = err;
}

void fault_before(const char *name, unsigned spared, void (*happen)(void))
{
	fault_after(name, spared, 0);
	always[n_always - 1].happen = happen;
}

void fault_always(const char *name, int err)
{
	if (name)
		fault_after(name, 0, err);
	else
		n_always = 0;
}

static void happen_once(void (**happen)(void))
{
	void (*fn)(void) = *happen;

	*happen = NULL; /* it may make calls of that name itself */
	if (fn)
		fn();
}

/* What a signal ends early, where a server or a program has to answer it. */
static bool is_interruptible(const char *name)
{
	static const char *const names[] = { "open", "openat", "fcntl", "read", "write", "pread",
		"pwrite", "ftruncate", "fgetxattr", "fsetxattr", "fremovexattr" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		if (strcmp(names[i], name) == 0)
			return true;
	}
	return false;
}

static bool fails(const char *name, int err)
{
	size_t i;

	for (i = 0; i < n_always; i++) {
		if (strcmp(always[i].name, name) == 0) {
			if (always[i].spared && always[i].spared--)
				continue;
			if (!always[i].err) {
				happen_once(&always[i].happen);
				continue;
			}
			errno = always[i].err;
			return true;
		}
	}
	if (!left || (interrupting && !is_interruptible(name)) || --left)
		return false;
	fired = true;
	last = name;
	errno = interrupting ? EINTR : err;
	return true;
}

/* What stands for SYMBOL in the program under test, and what it gives when it fails. */
#define WRAP(type, symbol, name, err, failure, parameters, arguments)            \
	type __real_##symbol parameters;                                         \
	type __wrap_##symbol parameters;                                         \
	type __wrap_##symbol parameters                                          \
	{                                                                        \
		return fails(name, err) ? (failure) : __real_##symbol arguments; \
	}

/* clang-format off */
WRAP(void *, malloc, "malloc", ENOMEM, NULL,
	(size_t size),
	(size))
WRAP(void *, calloc, "calloc", ENOMEM, NULL,
	(size_t n, size_t size),
	(n, size))
WRAP(void *, realloc, "realloc", ENOMEM, NULL,
	(void *p, size_t size),
	(p, size))
WRAP(void *, reallocarray, "reallocarray", ENOMEM, NULL,
	(void *p, size_t n, size_t size),
	(p, n, size))
WRAP(char *, strdup, "strdup", ENOMEM, NULL,
	(const char *text),
	(text))
WRAP(char *, strndup, "strndup", ENOMEM, NULL,
	(const char *text, size_t n),
	(text, n))
WRAP(int, vasprintf, "vasprintf", ENOMEM, -1,
	(char **ret, const char *fmt, va_list args),
	(ret, fmt, args))
WRAP(char *, getcwd, "getcwd", ENOMEM, NULL,
	(char *buf, size_t size),
	(buf, size))

WRAP(int, fstat64, "fstat", EIO, -1,
	(int fd, struct stat *info),
	(fd, info))
WRAP(int, stat64, "stat", EIO, -1,
	(const char *path, struct stat *info),
	(path, info))
WRAP(int, lstat64, "lstat", EIO, -1,
	(const char *path, struct stat64 *info),
	(path, info))
WRAP(ssize_t, readlink, "readlink", EIO, -1,
	(const char *path, char *text, size_t size),
	(path, text, size))
WRAP(int, fstatat64, "fstatat", EIO, -1,
	(int at, const char *path, struct stat *info, int flags),
	(at, path, info, flags))
WRAP(int, faccessat, "faccessat", EIO, -1,
	(int at, const char *path, int mode, int flags),
	(at, path, mode, flags))
WRAP(ssize_t, fgetxattr, "fgetxattr", EIO, -1,
	(int fd, const char *name, void *value, size_t size),
	(fd, name, value, size))
WRAP(int, fsetxattr, "fsetxattr", EIO, -1,
	(int fd, const char *name, const void *value, size_t size, int flags),
	(fd, name, value, size, flags))
WRAP(int, fremovexattr, "fremovexattr", EIO, -1,
	(int fd, const char *name),
	(fd, name))

WRAP(ssize_t, read, "read", EIO, -1,
	(int fd, void *bytes, size_t size),
	(fd, bytes, size))
WRAP(ssize_t, write, "write", ENOSPC, -1,
	(int fd, const void *bytes, size_t size),
	(fd, bytes, size))
WRAP(ssize_t, pread64, "pread", EIO, -1,
	(int fd, void *bytes, size_t size, off_t at),
	(fd, bytes, size, at))
WRAP(ssize_t, pwrite64, "pwrite", ENOSPC, -1,
	(int fd, const void *bytes, size_t size, off_t at),
	(fd, bytes, size, at))
WRAP(int, ftruncate64, "ftruncate", EIO, -1,
	(int fd, off_t size),
	(fd, size))
WRAP(int, fchmod, "fchmod", EPERM, -1,
	(int fd, mode_t mode),
	(fd, mode))
WRAP(int, mkdirat, "mkdirat", ENOSPC, -1,
	(int at, const char *path, mode_t mode),
	(at, path, mode))
WRAP(int, renameat, "renameat", EIO, -1,
	(int from, const char *old, int to, const char *new),
	(from, old, to, new))
WRAP(DIR *, fdopendir, "fdopendir", ENOMEM, NULL,
	(int fd),
	(fd))

WRAP(int, socket, "socket", EMFILE, -1,
	(int domain, int type, int protocol),
	(domain, type, protocol))
WRAP(int, bind, "bind", ENOSPC, -1,
	(int fd, const struct sockaddr *address, socklen_t size),
	(fd, address, size))
WRAP(int, listen, "listen", EADDRINUSE, -1,
	(int fd, int backlog),
	(fd, backlog))
WRAP(ssize_t, recvmsg, "recvmsg", EIO, -1,
	(int fd, struct msghdr *message, int flags),
	(fd, message, flags))
WRAP(ssize_t, sendmsg, "sendmsg", ECONNRESET, -1,
	(int fd, const struct msghdr *message, int flags),
	(fd, message, flags))
WRAP(int, getsockopt, "getsockopt", ENOBUFS, -1,
	(int fd, int level, int name, void *value, socklen_t *size),
	(fd, level, name, value, size))
WRAP(int, pthread_create, "pthread_create", EAGAIN, EAGAIN,
	(pthread_t *thread, const pthread_attr_t *attributes, void *(*fn)(void *), void *data),
	(thread, attributes, fn, data))
/* clang-format on */

int __wrap_asprintf(char **ret, const char *fmt, ...);
int __wrap_asprintf(char **ret, const char *fmt, ...)
{
	va_list args;
	int n;

	va_start(args, fmt);
	n = __wrap_vasprintf(ret, fmt, args);
	va_end(args);
	return n;
}

/* _FILE_OFFSET_BITS=64 makes open into open64, and so on. */
int __real_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...);
int __wrap_open64(const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	return fails("open", EMFILE) ? -1 : __real_open64(path, flags, mode);
}

int __real_openat64(int at, const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...);
int __wrap_openat64(int at, const char *path, int flags, ...)
{
	mode_t mode = 0;
	va_list args;

	va_start(args, flags);
	if (flags & O_CREAT)
		mode = va_arg(args, mode_t);
	va_end(args);
	return fails("openat", EMFILE) ? -1 : __real_openat64(at, path, flags, mode);
}

int __real_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...);
int __wrap_fcntl64(int fd, int command, ...)
{
	va_list args;
	void *arg;

	va_start(args, command);
	arg = va_arg(args, void *);
	va_end(args);
	return fails("fcntl", EIO) ? -1 : __real_fcntl64(fd, command, arg);
}
