/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"
#include "locking/resource.h"

/*
 * QEMU's block graph, as 'query-named-block-nodes' tells it, against the set of
 * what is locked. The answer alone is not enough: its names are relative, may
 * be mangled, and "ro" lies while a file is opened read-only on demand. So each
 * file node is found again among QEMU's own descriptors, and compared by device
 * and inode.
 */

/*
 * The format of the first writable node that keeps metadata of its own (qcow2
 * and the like: they write on closing), or NULL: all is raw.
 *
 * @nodes	borrowed; so is what is returned
 */
const char *block_nodes_with_metadata(json_t *nodes);

/*
 * The name of a block node that has this image's file, or NULL. By QEMU's names
 * for its files, and by their spelling where such a name leads to another file
 * by now: a life line that QEMU holds is no use of the disk.
 */
const char *block_nodes_using(json_t *nodes, pid_t pid, const struct resource *image);

/*
 * QEMU opens its writable images again, by name, when it is deactivated and when
 * it goes on. Would it find what is locked? A sentence about the first node whose
 * name leads elsewhere by now (in @text), or NULL.
 *
 * @locked	the lock set
 */
const char *block_nodes_moved(
	json_t *nodes, pid_t pid, const struct resource_set *locked, char *text, size_t size);

/* Has this node a file or a device of this host open? */
bool block_nodes_is_file(json_t *node);

/* One file that QEMU has open. */
struct open_image {
	struct resource_identity id;
	int number;
	bool writable, write_only, close_on_exec;
	bool image_locked; /* QEMU's own image locks are on it: it is a block node */
	bool life_line;    /* our lock is on it */
	bool unlinked;     /* a temporary file of QEMU's: nobody else can have it */
	bool explained;    /* block_nodes_missing(): a node has named it */
	char *path;        /* as /proc shows it */
};

/*
 * All regular files and block devices that process @pid has open.
 *
 * @ret	@n of them, the caller's: open_images_free()
 *
 * Returns 0 or -errno with a sentence.
 */
int open_images_read(pid_t pid, struct open_image **ret, size_t *n, struct error *err);
void open_images_free(struct open_image *images, size_t n);

/*
 * What QEMU has open as a block node and nobody has locked. Where it cannot be
 * told which file a node has, each one that could be it counts.
 *
 * @nodes	NULL: QEMU does not say, and it could be any
 * @locked	the lock set
 * @readers	read-only images count too (--readonly-locks)
 * @ret		filled with disks, exclusive or reader; the caller's
 * @problems	a sentence for each node that cannot be told
 *
 * Returns 0 or -errno with a sentence.
 */
struct block_nodes_query {
	json_t *nodes;
	pid_t pid;
	const char *directory; /* where QEMU was started, if it has left it (-daemonize, -chroot);
				  NULL */
	const struct resource_set *locked;
	bool readers;
};
int block_nodes_missing(const struct block_nodes_query *query, struct resource_set *ret,
	struct strv *problems, struct error *err);
