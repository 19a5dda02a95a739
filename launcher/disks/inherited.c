/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/inherited.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/str.h"

bool inherited_is(int fd)
{
	int flags = fcntl(fd, F_GETFD);

	return flags >= 0 && !(flags & FD_CLOEXEC);
}

int inherited_find(const char *name)
{
	static const char *const directories[] = { "/dev/fd/", "/proc/self/fd/" };
	static const char *const standard[] = { "/dev/stdin", "/dev/stdout", "/dev/stderr" };
	uint64_t number = UINT64_MAX;
	size_t i;

	for (i = 0; i < sizeof(standard) / sizeof(*standard); i++) {
		if (strcmp(name, standard[i]) == 0)
			number = i;
	}
	for (i = 0; i < sizeof(directories) / sizeof(*directories); i++) {
		if (str_starts(name, directories[i]) &&
			str_to_u64(name + strlen(directories[i]), &number) < 0)
			return -1;
	}
	return number <= INT_MAX && inherited_is(number) ? (int)number : -1;
}

char *inherited_path(int fd)
{
	char link[64], path[PATH_MAX];
	struct stat open_one, named;
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, sizeof(path) - 1);
	errno = 0;
	if (len <= 0 || *path != '/')
		return NULL;
	path[len] = '\0';
	if (fstat(fd, &open_one) < 0 || stat(path, &named) < 0 || open_one.st_dev != named.st_dev ||
		open_one.st_ino != named.st_ino) {
		errno = 0;
		return NULL;
	}
	return strdup(path);
}
