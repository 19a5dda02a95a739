/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/qemu_name.h"

#include <limits.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

/* Names of a process's own things. Resolved by us they would lead to ours. */
static const struct {
	const char *prefix, *place; /* below /proc/PID/ */
} own[] = {
	{ "/proc/self/", "" },
	{ "/proc/thread-self/", "" },
	{ "/dev/fd/", "fd/" },
	{ "/dev/stdin", "fd/0" },
	{ "/dev/stdout", "fd/1" },
	{ "/dev/stderr", "fd/2" },
};

int qemu_name_stat(pid_t pid, const char *name, struct stat *info)
{
	char path[PATH_MAX + 64];
	size_t i, len;

	snprintf(path, sizeof(path), "/proc/%d/%s/%s", pid, name[0] == '/' ? "root" : "cwd", name);
	for (i = 0; i < sizeof(own) / sizeof(*own); i++) {
		len = strlen(own[i].prefix);
		if (strncmp(name, own[i].prefix, len) != 0)
			continue;
		snprintf(path, sizeof(path), "/proc/%d/%s%s", pid, own[i].place, name + len);
		break;
	}
	return stat(path, info);
}
