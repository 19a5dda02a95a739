/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* QEMU's block drivers and what each of them opens. */
enum block_driver_kind {
	BLOCK_FILE,       /* a file or device of this host, named by "filename" */
	BLOCK_FORMAT,     /* an image format over a "file" */
	BLOCK_FILTER,     /* passes on to children that are as they are */
	BLOCK_NETWORK,    /* somewhere else */
	BLOCK_UNLOCKABLE, /* on this host, but no file with bytes to lock */
	BLOCK_NOTHING,    /* no storage at all */
};

struct block_driver {
	const char *name;
	enum block_driver_kind kind;
	bool only_reads;  /* it cannot write */
	bool names_files; /* its headers name other files */
	bool is_protocol; /* a filter that formats are not looked for beneath */
};

const struct block_driver *block_driver_find(const char *name); /* or NULL */
bool block_driver_only_reads(const char *name);
bool block_driver_names_files(const char *name);

/*
 * Which driver a file name asks for: "nbd://host", "file:x". A prefix ends at a
 * colon before any slash.
 *
 * @ret_rest	what stands behind "PREFIX:"; the whole name without a prefix
 *
 * Returns a driver's name; "file" without a prefix; NULL: no driver of ours
 * goes by that prefix.
 */
const char *block_driver_from_filename(const char *filename, const char **ret_rest);

/* A member of a block node that is another node: an object, or a node's name. */
enum block_probing {
	BLOCK_PROBE_NEVER,  /* the child is a protocol: without a driver it is a plain file */
	BLOCK_PROBE_ALWAYS, /* without a driver its format is found in its header */
	BLOCK_PROBE_AS_PARENT,
	BLOCK_PROBE_ABOVE, /* it is a plain file too, but a format above is found in its header */
};

struct block_child {
	const char *key;
	enum block_probing under_format;
	enum block_probing under_filter;
	bool array; /* of nodes */
};

extern const struct block_child block_children[];
extern const size_t block_children_n;

/* May there be a child under this key? */
bool block_child_is_key(const char *key);
