/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/binary.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/exit_status.h"

/* What execvp() would search without a PATH. */
#define DEFAULT_PATH "/bin:/usr/bin"

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

/* An empty part of PATH is the current directory. */
static int search_path(const char *path, const char *name, char **ret, struct error *err)
{
	bool seen = false;

	for (;;) {
		_cleanup_(freep) char *candidate = NULL;
		int len = strcspn(path, ":");

		if (asprintf(&candidate, "%.*s%s%s", len, path, len ? "/" : "./", name) < 0)
			return -ENOMEM;
		if (is_program(candidate)) {
			*ret = take_ptr(candidate);
			return 0;
		}
		seen = seen || access(candidate, F_OK) == 0;
		if (!path[len])
			break;
		path += len + 1;
	}
	return seen ? not_executable(name, err) : not_found(name, err);
}

int binary_find(const char *name, char **ret, struct error *err)
{
	const char *path = getenv("PATH");

	if (!strchr(name, '/'))
		return search_path(path ? path : DEFAULT_PATH, name, ret, err);
	if (access(name, F_OK) < 0)
		return not_found(name, err);
	if (!is_program(name))
		return not_executable(name, err);
	*ret = strdup(name);
	return *ret ? 0 : -ENOMEM;
}
