/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * What /proc/self/mountinfo says (pure). Strings belong to the table; octal
 * escapes are undone, so that names are as the kernel knows them.
 */
struct mount {
	uint64_t id;
	uint64_t dev_major, dev_minor;
	const char *root;  /* what of the file system is mounted: "/", or a part of it */
	const char *point; /* where */
	const char *options;
	const char *type;
	const char *source;
	const char *super_options;
};

struct mount_table {
	struct mount *items;
	size_t n;
	char *text; /* NULL: empty */
};

/* Hostile input is fine: lines that are none are left out. 0 or -ENOMEM. */
int mount_table_parse(const char *text, size_t len, struct mount_table *ret);
void mount_table_finish(struct mount_table *table);

const struct mount *mount_table_find(const struct mount_table *table, uint64_t id); /* or NULL */

/* Is @key among these options ("rw,vers=4.2")? Its value goes to @value ("" for a mere word). */
bool mount_option_find(const char *options, const char *key, char *value, size_t size);

/* The same in the mount's own options and its file system's. */
bool mount_has_option(const struct mount *mount, const char *key, char *value, size_t size);

/*
 * Where another mount may show a directory too: the same file system, or another
 * mount of the same share of a server. Only a look there can tell.
 *
 * @path	canonical, below @mount
 * @ret		the path through @other; the caller's
 *
 * Returns 1, 0 (it does not) or -ENOMEM.
 */
int mount_path_through(
	const struct mount *mount, const char *path, const struct mount *other, char **ret);
