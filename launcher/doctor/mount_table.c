/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/doctor/mount_table.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"

#define OPTIONAL_MAX 64 /* shared:N, master:N and the like; the kernel has four of them */

/* \040 and its like, in place */
static char *unescape(char *text)
{
	char *from = text, *to = text;

	while (*from) {
		if (from[0] == '\\' && from[1] >= '0' && from[1] <= '3' && from[2] >= '0' &&
			from[2] <= '7' && from[3] >= '0' && from[3] <= '7') {
			int byte = (from[1] - '0') << 6 | (from[2] - '0') << 3 | (from[3] - '0');

			if (byte) {
				*to++ = (char)byte;
				from += 4;
				continue;
			}
		}
		*to++ = *from++;
	}
	*to = '\0';
	return text;
}

static bool number_read(const char *text, uint64_t *ret)
{
	return text && str_to_u64(text, ret) == 0;
}

/* "8:1" */
static bool device_read(char *text, struct mount *mount)
{
	char *colon = text ? strchr(text, ':') : NULL;

	if (!colon)
		return false;
	*colon = '\0';
	return number_read(text, &mount->dev_major) && number_read(colon + 1, &mount->dev_minor);
}

/* Any of them may be empty (a mount without a source), so two spaces are two ends. */
static bool text_read(char **rest, const char **ret)
{
	char *field = strsep(rest, " ");

	*ret = field ? unescape(field) : NULL;
	return field;
}

/* Up to and with the "-" behind which the file system is described. */
static bool optional_skip(char **rest)
{
	size_t left = OPTIONAL_MAX;
	char *field;

	while (left-- && (field = strsep(rest, " "))) {
		if (strcmp(field, "-") == 0)
			return true;
	}
	return false;
}

/* ID PARENT MAJOR:MINOR ROOT POINT OPTIONS [OPTIONAL...] - TYPE SOURCE SUPER_OPTIONS */
static bool line_read(char *line, struct mount *mount)
{
	uint64_t parent;

	if (!number_read(strsep(&line, " "), &mount->id) ||
		!number_read(strsep(&line, " "), &parent) ||
		!device_read(strsep(&line, " "), mount))
		return false;
	if (!text_read(&line, &mount->root) || !text_read(&line, &mount->point) ||
		!text_read(&line, &mount->options))
		return false;
	return optional_skip(&line) && text_read(&line, &mount->type) &&
	       text_read(&line, &mount->source) && text_read(&line, &mount->super_options);
}

static size_t lines_count(const char *text)
{
	size_t n = 1;

	for (; (text = strchr(text, '\n')); text++)
		n++;
	return n;
}

int mount_table_parse(const char *text, size_t len, struct mount_table *ret)
{
	struct mount_table table = { .text = strndup(text, len) };
	char *rest = table.text, *line;

	if (!rest)
		return -ENOMEM;
	table.items = calloc(lines_count(rest), sizeof(*table.items));
	if (!table.items) {
		free(table.text);
		return -ENOMEM;
	}
	while ((line = strsep(&rest, "\n"))) {
		if (line_read(line, &table.items[table.n]))
			table.n++;
	}
	*ret = table;
	return 0;
}

void mount_table_finish(struct mount_table *table)
{
	free(table->items);
	free(table->text);
}

const struct mount *mount_table_find(const struct mount_table *table, uint64_t id)
{
	size_t i;

	for (i = 0; i < table->n; i++) {
		if (table->items[i].id == id)
			return &table->items[i];
	}
	return NULL;
}

bool mount_option_find(const char *options, const char *key, char *value, size_t size)
{
	size_t len = strlen(key);

	while (*options) {
		size_t here = strcspn(options, ",");
		bool is_key = here >= len && strncmp(options, key, len) == 0;

		if (is_key && (here == len || options[len] == '=')) {
			size_t skip = here == len ? len : len + 1;

			if (value)
				snprintf(value, size, "%.*s", (int)(here - skip), options + skip);
			return true;
		}
		options += here + (options[here] == ',');
	}
	return false;
}

bool mount_has_option(const struct mount *mount, const char *key, char *value, size_t size)
{
	return mount_option_find(mount->options, key, value, size) ||
	       mount_option_find(mount->super_options, key, value, size);
}

/* What of @path is left below @dir ("" or "/..."); NULL: it does not lie there. */
static const char *path_below(const char *path, const char *dir)
{
	size_t len = strlen(dir);

	if (len && dir[len - 1] == '/')
		len--;
	if (strncmp(path, dir, len) != 0)
		return NULL;
	return path[len] == '/' || path[len] == '\0' ? path + len : NULL;
}

/*
 * Two mounts of a share can be two file systems for the kernel (nosharecache, other
 * options); then locks between them go through the server.
 */
static bool is_same_file_system(const struct mount *a, const struct mount *b)
{
	if (a->dev_major == b->dev_major && a->dev_minor == b->dev_minor)
		return true;
	return strchr(a->source, ':') && strcmp(a->source, b->source) == 0 &&
	       strcmp(a->type, b->type) == 0;
}

int mount_path_through(
	const struct mount *mount, const char *path, const struct mount *other, char **ret)
{
	const char *below = path_below(path, mount->point), *rest;
	_cleanup_(freep) char *inside = NULL;
	char *through;

	if (!below || other->id == mount->id || !is_same_file_system(mount, other))
		return 0;
	if (asprintf(&inside, "%s%s", strcmp(mount->root, "/") == 0 ? "" : mount->root, below) <
		0) {
		inside = NULL;
		return -ENOMEM;
	}
	rest = path_below(inside, other->root);
	if (!rest)
		return 0;
	if (asprintf(&through, "%s%s", strcmp(other->point, "/") == 0 && *rest ? "" : other->point,
		    rest) < 0)
		return -ENOMEM;
	*ret = through;
	return 1;
}
