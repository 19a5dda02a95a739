/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/temporary.h"

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"

int temporary_make(struct temporary *dir)
{
	snprintf(dir->path, sizeof(dir->path), "/tmp/vmlatch-unit-XXXXXX");
	return mkdtemp(dir->path) ? 0 : -1;
}

static int remove_one(const char *path, const struct stat *info, int kind, struct FTW *walk)
{
	(void)info;
	(void)kind;
	(void)walk;
	return remove(path);
}

void temporary_remove(const struct temporary *dir)
{
	nftw(dir->path, remove_one, 16, FTW_DEPTH | FTW_PHYS);
}

char *temporary_path(const struct temporary *dir, const char *name)
{
	char *path = NULL;

	if (asprintf(&path, "%s/%s", dir->path, name) < 0)
		abort();
	return path;
}

void temporary_write(const struct temporary *dir, const char *name, const char *text)
{
	_cleanup_(freep) char *path = temporary_path(dir, name);
	FILE *file;

	if (file_make_parents(path, 0700) < 0)
		abort();
	file = fopen(path, "we");
	if (!file || fputs(text, file) < 0 || fclose(file) != 0)
		abort();
}

void temporary_unlink(const struct temporary *dir, const char *name)
{
	_cleanup_(freep) char *path = temporary_path(dir, name);

	if (unlink(path) < 0)
		abort();
}
