/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/mapped_files.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"
#include "launcher/vm/block_nodes.h"

#define MAPS_MAX (16 << 20)

/* The kernel writes a line's end as "\012" there, and all else as it is. */
static bool is_path(const char *line, const char *path)
{
	for (; *path; path++) {
		size_t len = *path == '\n' ? 4 : 1;

		if (strncmp(line, *path == '\n' ? "\\012" : path, len) != 0)
			return false;
		line += len;
	}
	return *line == '\0';
}

/* "7ff4893fd000-7ff4894fd000 rw-s 00000000 fe:00 11067550      /srv/nv.img"; else NULL. */
static const char *shared_path(const char *line)
{
	char flags[5];
	int at = 0;

	if (sscanf(line, "%*x-%*x %4s %*x %*x:%*x %*u %n", flags, &at) != 1 || !at)
		return NULL;
	if (flags[1] != 'w' || flags[3] != 's' || line[at] != '/')
		return NULL;
	return line + at;
}

static int add_mapped(
	const struct open_image *images, size_t n, const char *path, struct resource_set *ret)
{
	size_t i;
	int code = 0;

	for (i = 0; code == 0 && i < n; i++) {
		struct resource file = {
			.kind = RESOURCE_DISK,
			.mode = RESOURCE_EXCLUSIVE,
			.path = images[i].path,
			.origin = "QEMU has it mapped as memory",
			.id = images[i].id,
		};

		if (images[i].writable && !images[i].unlinked && is_path(path, images[i].path))
			code = resource_set_add(ret, &file, NULL);
	}
	return code;
}

/* The paths of what is mapped that way: in most QEMUs none. */
static int read_shared(pid_t pid, struct strv *ret, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	char name[64], *line, *rest;
	const char *path;
	int code;

	snprintf(name, sizeof(name), "/proc/%d/maps", pid);
	code = file_read_at(AT_FDCWD, name, 0, MAPS_MAX, &text, NULL);
	if (code < 0)
		return error_set(
			err, code, "look at QEMU's memory (pid %d): %s", pid, strerror(-code));
	for (line = strtok_r(text, "\n", &rest); line && code == 0;
		line = strtok_r(NULL, "\n", &rest)) {
		path = shared_path(line);
		if (path)
			code = strv_add(ret, path);
	}
	return code < 0 ? error_set(err, code, "out of memory") : 0;
}

int mapped_files_find(pid_t pid, struct resource_set *ret, struct error *err)
{
	_cleanup_(strv_finish) struct strv paths = { 0 };
	struct open_image *images;
	size_t n, i;
	int code = read_shared(pid, &paths, err);

	if (code < 0 || paths.n == 0)
		return code;
	code = open_images_read(pid, &images, &n, err);
	if (code < 0)
		return code;
	for (i = 0; code == 0 && i < paths.n; i++)
		code = add_mapped(images, n, paths.items[i], ret);
	open_images_free(images, n);
	return code < 0 ? error_set(err, code, "out of memory") : 0;
}
