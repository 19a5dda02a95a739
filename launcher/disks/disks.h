/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/credentials.h"
#include "base/error.h"
#include "launcher/disks/argv.h"
#include "launcher/disks/chain.h"
#include "launcher/disks/note.h"
#include "locking/resource.h"

/*
 * From a QEMU command line to the files that must be locked before QEMU may
 * start. Reads image headers; takes no lock and writes nothing.
 */

struct disks_params {
	bool readonly_locks; /* false: files that are only read are not in the set */
	const struct credentials *credentials; /* whose rights count; borrowed */
	size_t keep_open;  /* so many images may stay open, for a look at their locks */
	bool note_missing; /* a file that cannot be opened is a note, no error */
};

/* All zeroes is empty and can be finished. */
struct disks {
	struct command_line line;
	struct resource_set set;
	struct disk_images images; /* every file that was looked at */
	struct disks_notes notes;  /* the command line's and the images' */
	bool relative;             /* an image's name relates to the current directory */
	bool from_set;             /* an image is a descriptor of -add-fd */
	bool by_descriptor;        /* an image is named as "/dev/fd/N" */
};

void disks_finish(struct disks *disks);

/*
 * @line	what command_line_parse() has made of the arguments; becomes empty,
 *		also on failure
 *
 * What cannot be found or locked is in ret->notes; the caller's policy decides.
 *
 * Returns 0, or -errno with a sentence and an exit status: an image is not there
 * (66), may not be read (77), or its chain cannot be followed (65).
 */
int disks_from_line(struct command_line *line, const struct disks_params *params, struct disks *ret,
	struct error *err);

/* The same from the arguments; NULL-terminated, [0] is QEMU. */
int disks_from_argv(
	char **argv, const struct disks_params *params, struct disks *ret, struct error *err);

/* One image file with its chain, as 'attach VM disk PATH' names it. Errors as above. */
int disks_from_path(const char *path, enum resource_mode mode, const struct disks_params *params,
	struct disks *ret, struct error *err);

/* What is known of a member of the set; NULL: nothing. */
const struct disk_image *disks_find_image(
	const struct disks *disks, const struct resource *resource);
