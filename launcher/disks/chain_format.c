/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/disks/chain_walk.h"
#include "launcher/disks/keyval.h"

/* A format node: first its file, then what that file's header and the user say of others. */

/* The "file" may be given as a bare name, as a node, or both. */
static int file_walk(struct chain *chain, const json_t *node, const struct chain_place *place,
	struct chain_primary *ret)
{
	const char *pseudo = keyval_text(node, NODE_PSEUDO_FILENAME);
	const char *filename = keyval_text(node, "filename");
	const json_t *file = json_object_get(node, "file");
	struct chain_place below = chain_place_below(place, BLOCK_PROBE_NEVER);
	_cleanup_(keyval_freep) json_t *made = NULL;

	if (file && !pseudo)
		return chain_walk_child(chain, file, &below, ret);
	if (!pseudo && !filename)
		return 0;
	made = pseudo ? chain_node(file, NODE_PSEUDO_FILENAME, pseudo)
		      : chain_node(NULL, "filename", filename);
	return made ? chain_walk_node(chain, made, &below, ret) : -ENOMEM;
}

/* A name in a header relates to the directory of the image that has it. */
static char *name_beside(const char *name, const char *image_path)
{
	const char *slash = strrchr(image_path, '/');
	const char *rest;
	char *path;

	block_driver_from_filename(name, &rest);
	if (*name == '/' || rest != name || !slash)
		return strdup(name);
	if (asprintf(&path, "%.*s/%s", (int)(slash - image_path), image_path, name) < 0)
		return NULL;
	return path;
}

/*
 * Was the backing node given whole, so that the header does not count? It does
 * count beside all else that may be said of a file, such as "backing.file.locking".
 */
static bool backing_is_explicit(const json_t *backing, const struct image *header)
{
	if (!header || !*header->backing)
		return json_is_string(backing) || json_object_size(backing);
	return json_is_string(backing) ||
	       json_object_get(json_object_get(backing, "file"), "filename");
}

static bool backing_is_off(const json_t *backing)
{
	return json_is_null(backing) || (json_is_string(backing) && !*json_string_value(backing));
}

/* The backing node from the header, and what the user says on top. NULL: no memory. */
static json_t *backing_node(const struct chain_primary *primary, const json_t *given)
{
	const struct image *header = primary->header;
	_cleanup_(freep) char *name = name_beside(header->backing, primary->path);
	_cleanup_(keyval_freep) json_t *node = NULL;

	if (!name)
		return NULL;
	node = chain_node(given, NODE_PSEUDO_FILENAME, name);
	if (node && *header->backing_format && !json_object_get(node, "driver") &&
		keyval_set_text(node, "driver", header->backing_format) < 0)
		return NULL;
	return take_ptr(node);
}

static int backing_walk(struct chain *chain, const json_t *node, const struct chain_place *place,
	const struct chain_primary *primary)
{
	_cleanup_(chain_primary_finish) struct chain_primary ignored = CHAIN_PRIMARY_INIT;
	struct chain_place below = chain_place_below(place, BLOCK_PROBE_ALWAYS);
	const json_t *given = json_object_get(node, "backing");
	_cleanup_(keyval_freep) json_t *made = NULL;
	_cleanup_(freep) char *origin = NULL;
	bool is_explicit = backing_is_explicit(given, primary->header);

	if (backing_is_off(given))
		return 0;
	if (!is_explicit && !(primary->header && *primary->header->backing))
		return 0;
	below.writable = below.auto_read_only = below.filtered = false;
	below.plain = below.backing = true;
	below.uses = 0;
	if (++below.images_deep > CHAIN_IMAGES_MAX)
		return chain_refuse(
			chain, place, "more than 200 backing files, one behind the other");
	if (is_explicit)
		return chain_walk_child(chain, given, &below, &ignored);
	below.from_header = true;
	made = backing_node(primary, given);
	if (!made || asprintf(&origin, "backing file of %s", primary->path) < 0)
		return -ENOMEM;
	below.origin = origin;
	return chain_walk_node(chain, made, &below, &ignored);
}

/* qcow2: the data may be in another file, which is written like the image itself. */
static int data_file_walk(struct chain *chain, const json_t *node, const struct chain_place *place,
	const struct chain_primary *primary)
{
	_cleanup_(chain_primary_finish) struct chain_primary ignored = CHAIN_PRIMARY_INIT;
	struct chain_place below = chain_place_below(place, BLOCK_PROBE_NEVER);
	_cleanup_(keyval_freep) json_t *made = NULL;
	_cleanup_(freep) char *origin = NULL;

	if (!primary->header || !*primary->header->data_file || json_object_get(node, "data-file"))
		return 0;
	made = chain_node(NULL, NODE_PSEUDO_FILENAME, primary->header->data_file);
	if (!made || asprintf(&origin, "data file of %s", primary->path) < 0)
		return -ENOMEM;
	below.from_header = true;
	below.format = "raw";
	below.origin = origin;
	return chain_walk_node(chain, made, &below, &ignored);
}

/* What the user says of an extent stands beside the name, and cannot go over it (QEMU 7.2). */
static json_t *extent_node(const json_t *node, size_t number, const char *name)
{
	char key[32];

	snprintf(key, sizeof(key), "%zu", number);
	return chain_node(
		json_object_get(json_object_get(node, "extents"), key), NODE_PSEUDO_FILENAME, name);
}

/* vmdk: one of the files that the data is in. */
static int extent_walk(struct chain *chain, const json_t *node, size_t number,
	const struct chain_place *place, const struct chain_primary *primary)
{
	const struct image_extent *extent = &primary->header->extents[number];
	_cleanup_(chain_primary_finish) struct chain_primary own = CHAIN_PRIMARY_INIT;
	struct chain_place below = chain_place_below(place, BLOCK_PROBE_NEVER);
	const char *slash = strrchr(primary->path, '/');
	_cleanup_(str_finish) struct str name = { 0 };
	_cleanup_(keyval_freep) json_t *made = NULL;
	const struct disk_image *image;
	int code;

	if (*extent->name != '/')
		str_append_bytes(&name, primary->path, slash - primary->path + 1);
	str_append(&name, extent->name);
	made = name.failed ? NULL : extent_node(node, number, name.text);
	if (!made)
		return -ENOMEM;
	below.from_header = true;
	below.format = extent->sparse ? "vmdk" : "raw";
	code = chain_walk_node(chain, made, &below, &own);
	if (code < 0 || own.image == CHAIN_NO_IMAGE)
		return code;
	image = &chain->images.items[own.image];
	if (extent->sparse && image->header && image->header->n_extents)
		return chain_refuse(chain, &below, "an extent has extents of its own");
	/* its header may be in other bytes than the file's first */
	if (extent->sparse && json_object_get(node, "extents"))
		return disks_notes_add(&chain->notes, DISKS_NOTE_NOT_UNDERSTOOD,
			"%s: options of an extent that may have extents of its own", name.text);
	return 0;
}

static int extents_walk(struct chain *chain, const json_t *node, const struct chain_place *place,
	const struct chain_primary *primary)
{
	const struct image *header = primary->header;
	struct chain_place below = *place;
	_cleanup_(freep) char *origin = NULL;
	int code = 0;
	size_t i;

	if (!header || !header->n_extents)
		return 0;
	if (asprintf(&origin, "extent of %s", primary->path) < 0)
		return -ENOMEM;
	below.origin = origin;
	for (i = 0; i < header->n_extents && code == 0; i++)
		code = extent_walk(chain, node, i, &below, primary);
	return code;
}

/* Told that it is a vmdk, QEMU finds more in a text than we do, who look for its beginning. */
static int vmdk_note(
	struct chain *chain, const struct chain_place *place, const struct chain_primary *primary)
{
	return disks_notes_add(&chain->notes, DISKS_NOTE_NOT_UNDERSTOOD,
		"%s: %s does not begin as a vmdk image does: its extents are not found",
		place->origin, primary->path);
}

/* Does this node show other bytes than those of its file? */
static bool node_hides(const json_t *node, const char *format)
{
	const json_t *offset = json_object_get(node, "offset");
	const char *text = json_string_value(offset);

	return strcmp(format, "raw") != 0 || json_number_value(offset) != 0 ||
	       (text && strcmp(text, "0") != 0);
}

/*
 * Which format it is, and what of the header counts: nothing, if QEMU does not
 * take the image for what it says it is, or if it has another header, within the
 * disk that the image holds. @format: as given; NULL: not. NULL: no memory.
 */
static const char *header_judge(struct chain *chain, const struct chain_place *place,
	const char *format, struct chain_primary *primary)
{
	const struct disk_image *image = &chain->images.items[primary->image];
	const char *found = image->probed ? image_format_name(image->found) : NULL;

	primary->header = NULL;
	if (primary->hidden && (!format || block_driver_names_files(format)) &&
		disks_notes_add(&chain->notes, DISKS_NOTE_NOT_UNDERSTOOD,
			"%s: an image within an image, %s: what it names itself is not found",
			place->origin, primary->path) < 0)
		return NULL;
	if (primary->hidden)
		return format ? format : "raw";
	if (!format)
		format = found ? found : "raw";
	if (found && strcmp(format, found) == 0)
		primary->header = image->header;
	if (strcmp(format, "vmdk") == 0 && image->found != IMAGE_VMDK &&
		vmdk_note(chain, place, primary) < 0)
		return NULL;
	return format;
}

int chain_walk_format(struct chain *chain, const json_t *node, struct chain_place *place,
	struct chain_primary *ret)
{
	const char *format = keyval_text(node, "driver");
	int code;

	/* a raw node in between hides nothing from the format above it */
	if (place->probe || !str_equal(format, "raw"))
		place->format = format;
	if (!format)
		place->guess = keyval_text(node, NODE_PSEUDO_FILENAME);
	place->plain = place->plain && (!format || str_equal(format, "raw"));
	code = file_walk(chain, node, place, ret);
	if (code < 0)
		return code;
	if (ret->image != CHAIN_NO_IMAGE) {
		place->image = ret->image;
		format = header_judge(chain, place, format, ret);
		if (!format)
			return -ENOMEM;
		place->plain = place->plain && strcmp(format, "raw") == 0;
		ret->hidden |= node_hides(node, format);
	}
	code = chain_walk_children(chain, node, place, ret);
	if (code == 0)
		code = data_file_walk(chain, node, place, ret);
	if (code == 0)
		code = extents_walk(chain, node, place, ret);
	return code < 0 ? code : backing_walk(chain, node, place, ret);
}
