/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fault.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>

static unsigned left; /* 0: not armed */
static bool fired;
static const char *last = "";
static struct {
	const char *name;
	int err;
} always[4];
static size_t n_always;

void fault_arm(unsigned n)
{
	left = n;
	fired = false;
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

void fault_always(const char *name, int err)
{
	if (!name) {
		n_always = 0;
	} else {
		always[n_always].name = name;
		always[n_always++].err = err;
	}
}

static bool fails(const char *name, int err)
{
	size_t i;

	for (i = 0; i < n_always; i++) {
		if (strcmp(always[i].name, name) == 0) {
			errno = always[i].err;
			return true;
		}
	}
	if (!left || --left)
		return false;
	fired = true;
	last = name;
	errno = err;
	return true;
}

void *__real_malloc(size_t size);
void *__wrap_malloc(size_t size);
void *__wrap_malloc(size_t size)
{
	return fails("malloc", ENOMEM) ? NULL : __real_malloc(size);
}

void *__real_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size);
void *__wrap_calloc(size_t n, size_t size)
{
	return fails("calloc", ENOMEM) ? NULL : __real_calloc(n, size);
}

void *__real_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size);
void *__wrap_realloc(void *p, size_t size)
{
	return fails("realloc", ENOMEM) ? NULL : __real_realloc(p, size);
}

void *__real_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size);
void *__wrap_reallocarray(void *p, size_t n, size_t size)
{
	return fails("reallocarray", ENOMEM) ? NULL : __real_reallocarray(p, n, size);
}

char *__real_strdup(const char *text);
char *__wrap_strdup(const char *text);
char *__wrap_strdup(const char *text)
{
	return fails("strdup", ENOMEM) ? NULL : __real_strdup(text);
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

int __real_fstat64(int fd, struct stat *info);
int __wrap_fstat64(int fd, struct stat *info);
int __wrap_fstat64(int fd, struct stat *info)
{
	return fails("fstat", EIO) ? -1 : __real_fstat64(fd, info);
}

ssize_t __real_fgetxattr(int fd, const char *name, void *value, size_t size);
ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size);
ssize_t __wrap_fgetxattr(int fd, const char *name, void *value, size_t size)
{
	return fails("fgetxattr", EIO) ? -1 : __real_fgetxattr(fd, name, value, size);
}

int __real_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags);
int __wrap_fsetxattr(int fd, const char *name, const void *value, size_t size, int flags)
{
	return fails("fsetxattr", EIO) ? -1 : __real_fsetxattr(fd, name, value, size, flags);
}

int __real_fremovexattr(int fd, const char *name);
int __wrap_fremovexattr(int fd, const char *name);
int __wrap_fremovexattr(int fd, const char *name)
{
	return fails("fremovexattr", EIO) ? -1 : __real_fremovexattr(fd, name);
}
