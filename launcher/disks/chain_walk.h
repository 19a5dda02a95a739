/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/disks/block_driver.h"
#include "launcher/disks/chain.h"

/*
 * Within the walk. It goes down the tree of nodes as QEMU's opening does. All
 * functions here return 0 or -errno, with the sentence in chain->err.
 */

/* Where a node stands. */
struct chain_place {
	const struct chain_place *up;
	size_t image;       /* what this node's backing and data files belong to */
	const char *origin; /* for people */
	const char *format; /* the format on top of this file; NULL: look into its header */
	const char *guess;  /* the name that QEMU guesses by, of a node without a format; or NULL */
	bool probe;         /* without a driver: look for a format, not for a protocol */
	bool inherits;      /* given inside its parent, so it takes over what the parent has */
	bool writable;
	bool auto_read_only;
	bool plain;    /* no format with metadata above */
	bool filtered; /* a filter above may write of its own accord */
	bool backing;
	bool opened;      /* somebody's descriptor: QEMU's user need not be able to open it */
	bool from_header; /* an image names it: whoever has written there, a guest perhaps */
	unsigned uses;    /* argv_use bits of everything above */
	unsigned depth;
	unsigned images_deep;
};

/* The file that a node keeps its data in. */
struct chain_primary {
	size_t image; /* CHAIN_NO_IMAGE: not a file of this host */
	char *path;   /* by which it was found this time; what relative names relate to */
	const struct image *header; /* NULL: it has none that counts */
	bool hidden;                /* a node above sees other bytes than the file's */
};
#define CHAIN_PRIMARY_INIT              \
	{                               \
		.image = CHAIN_NO_IMAGE \
	}
void chain_primary_finish(struct chain_primary *primary);

struct chain_place chain_place_below(const struct chain_place *up, enum block_probing probing);

/* A new node: a copy of @members (NULL: none) and {key: text} (NULL: not). NULL: no memory. */
json_t *chain_node(const json_t *members, const char *key, const char *text);

/* That exit status 65; returns -EINVAL. */
int chain_refuse(struct chain *chain, const struct chain_place *place, const char *why);

/* One node, and all below it. */
int chain_walk_node(struct chain *chain, const json_t *node, const struct chain_place *at,
	struct chain_primary *ret);

/* A child: an object, or the name of a node that is somewhere else. @place becomes the child's. */
int chain_walk_child(struct chain *chain, const json_t *child, struct chain_place *place,
	struct chain_primary *ret);

/* Has it any that the table of children knows? Cheaper than to ask for each of them. */
bool chain_has_children(const json_t *node);

/* All that the table of children knows; a format's own "file" is left out. */
int chain_walk_children(struct chain *chain, const json_t *node, const struct chain_place *place,
	struct chain_primary *ret);

/* chain_filter.c: a filter node: all of its children */
int chain_walk_filter(struct chain *chain, const json_t *node, struct chain_place *place,
	struct chain_primary *ret);

/* chain_format.c: a format node: its file, its data file, its backing file */
int chain_walk_format(struct chain *chain, const json_t *node, struct chain_place *place,
	struct chain_primary *ret);

/* chain_file.c: look at one file and add it to the set; @ret may stay empty */
int chain_visit_file(struct chain *chain, const char *name, const struct chain_place *place,
	struct chain_primary *ret);

/* The same by the path that others will open; of @ret only the image is set. */
int chain_visit_path(struct chain *chain, const char *path, const struct chain_place *place,
	struct chain_primary *ret);

/* @ret: the caller's. Only a relative name needs a current directory that is still there. */
int chain_path_absolute(struct chain *chain, const char *name, char **ret);

/* chain_memory.c: all that is mapped into the guest */
int chain_visit_memories(struct chain *chain);

#define CHAIN_FDSET "/dev/fdset/"
/* chain_fd.c: "/dev/fdset/SET": the descriptors that -add-fd put into that set */
int chain_visit_fdset(struct chain *chain, const char *name, const struct chain_place *place,
	struct chain_primary *ret);

/*
 * A file that cannot be opened, for the reason that errno @number gives and @why
 * says. With chain->note_missing it may be a note: QEMU will not open it either,
 * and says so in its own words.
 *
 * Returns -errno with the sentence and its status, or CHAIN_FILE_MISSING.
 */
enum { CHAIN_FILE_MISSING = 1 };
int chain_file_fail(struct chain *chain, const struct chain_place *place, const char *path,
	int number, const char *why);

/* A file that must not be used. Returns -EINVAL. */
int chain_file_refuse(
	struct chain *chain, const struct chain_place *place, const char *path, const char *why);

/* chain_mode.c: the strongest thing that QEMU may do to this file. */
struct chain_mode {
	enum resource_mode mode;
	const char *why; /* half a sentence, static */
	bool refused;    /* QEMU will not start: it may not write, and has to */
};

/* @format: QEMU's name of it */
struct chain_mode chain_mode_find(
	const char *path, const struct chain_place *place, const char *format);
