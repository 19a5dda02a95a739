/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/binary.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "launcher/exit_status.h"

/* What execvp() would search without a PATH. */
#define DEFAULT_PATH "/bin:/usr/bin"

#define OWN              "/proc/self/exe"
#define COMPARED_AT_ONCE 65536

static int not_found(const char *name, struct error *err)
{
	return error_status(err,
		error_set(err, -ENOENT, "%s is not found: is QEMU installed, and in PATH?", name),
		EXIT_STATUS_NOT_FOUND);
}

static int not_executable(const char *name, struct error *err)
{
	return error_status(err, error_set(err, -EACCES, "%s cannot be executed", name),
		EXIT_STATUS_NOT_EXECUTABLE);
}

static bool is_program(const char *path)
{
	struct stat info;

	return stat(path, &info) == 0 && S_ISREG(info.st_mode) && access(path, X_OK) == 0;
}

/* What a search passes over. */
struct avoided {
	const struct strv *tried; /* NULL: nothing, not even ourselves */
	struct stat self;
};

static bool is_avoided(const struct avoided *avoided, const char *path)
{
	struct stat info;

	if (!avoided->tried)
		return false;
	if (strv_has(avoided->tried, path))
		return true;
	return stat(path, &info) == 0 && info.st_dev == avoided->self.st_dev &&
	       info.st_ino == avoided->self.st_ino;
}

/* An empty part of PATH is the current directory. */
static int search_path(
	const char *name, const struct avoided *avoided, char **ret, struct error *err)
{
	const char *path = getenv("PATH");
	bool seen = false;

	for (path = path ? path : DEFAULT_PATH;; path++) {
		_cleanup_(freep) char *candidate = NULL;
		int len = strcspn(path, ":");

		if (asprintf(&candidate, "%.*s%s%s", len, path, len ? "/" : "./", name) < 0)
			return -ENOMEM;
		if (is_program(candidate) && !is_avoided(avoided, candidate)) {
			*ret = take_ptr(candidate);
			return 0;
		}
		seen = seen || (access(candidate, F_OK) == 0 && !is_avoided(avoided, candidate));
		path += len;
		if (!*path)
			break;
	}
	return seen ? not_executable(name, err) : not_found(name, err);
}

int binary_find(const char *name, char **ret, struct error *err)
{
	struct avoided nothing = { 0 };

	if (!strchr(name, '/'))
		return search_path(name, &nothing, ret, err);
	if (access(name, F_OK) < 0)
		return not_found(name, err);
	if (!is_program(name))
		return not_executable(name, err);
	*ret = strdup(name);
	return *ret ? 0 : -ENOMEM;
}

static int find_configured(const char *name, const char *configured, const struct avoided *avoided,
	char **ret, struct error *err)
{
	_cleanup_(freep) char *path = NULL;
	struct stat info;

	if (stat(configured, &info) == 0 && S_ISDIR(info.st_mode)) {
		if (asprintf(&path, "%s/%s", configured, name) < 0)
			return -ENOMEM;
	} else {
		path = strdup(configured);
		if (!path)
			return -ENOMEM;
	}
	error_status(err, 0, EX_CONFIG);
	if (!is_program(path))
		return error_set(err, -EACCES, "qemu=%s: %s is no program that can be executed",
			configured, path);
	if (is_avoided(avoided, path))
		return error_set(
			err, -ELOOP, "qemu=%s: %s leads back to vmlatch", configured, path);
	*ret = take_ptr(path);
	return 0;
}

int binary_find_real(const char *name, const char *configured, const struct strv *tried, char **ret,
	struct error *err)
{
	struct avoided avoided = { .tried = tried };

	if (stat(OWN, &avoided.self) < 0)
		return error_set(err, -errno, OWN ": %s", strerror(errno));
	if (configured)
		return find_configured(name, configured, &avoided, ret, err);
	return search_path(name, &avoided, ret, err);
}

static bool have_same_bytes(int one, int other)
{
	char left[COMPARED_AT_ONCE], right[COMPARED_AT_ONCE];
	ssize_t n;

	do {
		n = fd_read_all(one, left, sizeof(left));
		if (n < 0 || fd_read_all(other, right, sizeof(right)) != n ||
			memcmp(left, right, n) != 0)
			return false;
	} while (n);
	return true;
}

bool binary_is_ours(const char *path)
{
	_cleanup_(closep) int own = open(OWN, O_RDONLY | O_CLOEXEC);
	_cleanup_(closep) int other = -1;
	struct stat self, info;

	if (stat(OWN, &self) < 0 || stat(path, &info) < 0)
		return false;
	if (info.st_dev == self.st_dev && info.st_ino == self.st_ino)
		return true;
	if (!S_ISREG(info.st_mode) || info.st_size != self.st_size)
		return false;
	other = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	return own >= 0 && other >= 0 && have_same_bytes(own, other);
}

int binary_become(const char *binary, char **argv, struct error *err)
{
	execv(binary, argv);
	error_status(err, 0, exit_status_of_exec(errno));
	return error_set(err, -errno, "%s: %s", binary, strerror(errno));
}
