/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "base/credentials.h"
#include "base/error.h"
#include "launcher/disks/argv.h"
#include "launcher/disks/disk_images.h"
#include "launcher/disks/note.h"
#include "locking/resource.h"

/*
 * From block nodes to files: which files QEMU opens for them, the backing files
 * that the images' own headers name included, and what it may do to each.
 * Reads headers; never writes, never blocks, never opens anything but regular
 * files and block devices.
 */

/* A hostile image can name another one for ever. */
#define CHAIN_IMAGES_MAX 200   /* backing files of backing files of ... */
#define CHAIN_DEPTH_MAX  500   /* nodes in nodes */
#define CHAIN_VISITS_MAX 20000 /* nodes in all */

/* All zeroes with the first five set is ready; chain_finish() ends it. */
struct chain {
	const struct command_line *line;
	const struct credentials *credentials;
	bool readonly_locks; /* false: what is only read is not in the set */
	size_t keep_open;    /* so many images stay open */
	bool note_missing;   /* what cannot be opened is a note */

	bool relative;      /* an image has such a name */
	bool from_set;      /* an image is a descriptor of -add-fd */
	bool by_descriptor; /* an image has a name as "/dev/fd/N" */
	struct resource_set set;
	struct disks_notes notes;
	struct disk_images images;

	char *cwd; /* what relative names relate to; NULL: none has been met */

	/* only while chain_follow() is at work */
	struct error *err;
	json_t *nodes;      /* by node name or drive id */
	json_t *references; /* the names that other nodes refer to */
	json_t *followed;   /* those of them that were found that way */
	size_t visits;
};

void chain_finish(struct chain *chain);

/*
 * Follow all images of chain->line.
 *
 * Returns 0 or -errno with a sentence and an exit status: a file is not there
 * (66), may not be read (77), or a chain that nobody can follow (65).
 */
int chain_follow(struct chain *chain, struct error *err);
