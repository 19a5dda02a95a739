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
#define N_OWN (sizeof(own) / sizeof(*own))

static size_t own_find(const char *name)
{
	size_t i;

	for (i = 0; i < N_OWN; i++) {
		if (strncmp(name, own[i].prefix, strlen(own[i].prefix)) == 0)
			break;
	}
	return i;
}

bool qemu_name_is_own(const char *name)
{
	return own_find(name) < N_OWN;
}

int qemu_name_stat(pid_t pid, const char *name, struct stat *info)
{
	char path[PATH_MAX + 64];
	size_t i = own_find(name);

	snprintf(path, sizeof(path), "/proc/%d/%s/%s", pid, name[0] == '/' ? "root" : "cwd", name);
	if (i < N_OWN)
		snprintf(path, sizeof(path), "/proc/%d/%s%s", pid, own[i].place,
			name + strlen(own[i].prefix));
	return stat(path, info);
}
