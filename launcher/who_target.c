/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/who_target.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "locking/lease.h"

static bool is_missing(const char *path)
{
	struct stat info;

	return lstat(path, &info) < 0 && errno == ENOENT;
}

static int lease_find(const struct lease *lease, struct who_target *ret)
{
	_cleanup_(freep) char *dir = NULL;
	char *path;

	if (asprintf(&dir, "%s/%s", lease->path, lease->space) < 0) {
		dir = NULL;
		return -ENOMEM;
	}
	if (asprintf(&path, "%s/%s", dir, lease->key) < 0)
		return -ENOMEM;
	*ret = (struct who_target){ path, !is_missing(dir) && is_missing(path) };
	return 0;
}

int who_target_find(const char *operand, struct who_target *ret)
{
	struct lease lease;
	char *path;

	if (is_missing(operand) && lease_from_text(operand, &lease, NULL) == 0 && lease.path[0] &&
		!lease.offset)
		return lease_find(&lease, ret);
	path = strdup(operand);
	if (!path)
		return -ENOMEM;
	*ret = (struct who_target){ path, false };
	return 0;
}

void who_target_finish(struct who_target *target)
{
	free(target->path);
}
