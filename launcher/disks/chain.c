/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/chain.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/disks/chain_walk.h"
#include "launcher/disks/keyval.h"

void chain_primary_finish(struct chain_primary *primary)
{
	free(primary->path);
}

int chain_refuse(struct chain *chain, const struct chain_place *place, const char *why)
{
	error_status(chain->err, 0, EX_DATAERR);
	return error_set(chain->err, -EINVAL, "%s: %s", place->origin, why);
}

json_t *chain_node(const json_t *members, const char *key, const char *text)
{
	_cleanup_(keyval_freep) json_t *node = json_object();

	if (!node || (json_is_object(members) && json_object_update(node, (json_t *)members) < 0))
		return NULL;
	if (text && keyval_set_text(node, key, text) < 0)
		return NULL;
	return take_ptr(node);
}

struct chain_place chain_place_below(const struct chain_place *up, enum block_probing probing)
{
	struct chain_place place = *up;

	place.up = up;
	place.image = CHAIN_NO_IMAGE;
	place.inherits = true;
	place.depth++;
	if (probing == BLOCK_PROBE_AS_PARENT)
		return place;
	if (place.probe && probing == BLOCK_PROBE_ABOVE)
		place.format = "raw"; /* there is no format above */
	place.probe = probing == BLOCK_PROBE_ALWAYS;
	if (place.probe)
		place.format = NULL;
	return place;
}

int chain_walk_child(struct chain *chain, const json_t *child, struct chain_place *place,
	struct chain_primary *ret)
{
	const char *name = json_string_value(child);
	const json_t *node = child;

	if (name) {
		node = json_object_get(chain->nodes, name);
		place->inherits = false;
		place->uses |= command_line_uses(chain->line, name);
		if (json_object_set_new_nocheck(chain->followed, name, json_true()) < 0)
			return -ENOMEM;
		if (!node)
			return disks_notes_add(&chain->notes, DISKS_NOTE_NOT_UNDERSTOOD,
				"%s: there is no block node '%s'", place->origin, name);
	}
	return json_is_object(node) ? chain_walk_node(chain, node, place, ret) : 0;
}

/* The first child that is a file has what a format above looks for. */
static int child_walk_keep_first(struct chain *chain, const json_t *child,
	const struct chain_place *place, struct chain_primary *ret)
{
	struct chain_primary primary = CHAIN_PRIMARY_INIT;
	struct chain_place own = *place;
	int code = chain_walk_child(chain, child, &own, &primary);

	if (code == 0 && ret->image == CHAIN_NO_IMAGE && primary.image != CHAIN_NO_IMAGE)
		*ret = primary;
	else
		chain_primary_finish(&primary);
	return code;
}

bool chain_has_children(const json_t *node)
{
	const char *key;
	json_t *value;

	json_object_foreach ((json_t *)node, key, value) {
		if (block_child_is_key(key))
			return true;
	}
	return false;
}

int chain_walk_children(struct chain *chain, const json_t *node, const struct chain_place *place,
	struct chain_primary *ret)
{
	const char *name = keyval_text(node, "driver");
	const struct block_driver *driver = block_driver_find(name);
	bool format = !name || (driver && driver->kind == BLOCK_FORMAT);
	size_t i, n = chain_has_children(node) ? block_children_n : 0;
	int code = 0;

	for (i = 0; i < n && code == 0; i++) {
		const struct block_child *row = &block_children[i];
		enum block_probing probing = format ? row->under_format : row->under_filter;
		struct chain_place below;
		json_t *value = json_object_get(node, row->key);

		if (!value || (format && strcmp(row->key, "file") == 0))
			continue;
		if (probing == BLOCK_PROBE_AS_PARENT && driver && driver->is_protocol)
			probing = BLOCK_PROBE_ABOVE;
		below = chain_place_below(place, probing);
		if (probing == BLOCK_PROBE_NEVER)
			below.format = "raw"; /* nobody looks for a format in it */
		if (!row->array) {
			code = child_walk_keep_first(chain, value, &below, ret);
			continue;
		}
		for (void *at = json_object_iter(value); at && code == 0;
			at = json_object_iter_next(value, at))
			code = child_walk_keep_first(
				chain, json_object_iter_value(at), &below, ret);
	}
	return code;
}

/* A driver takes its own prefix off, and no other's. NULL: there is no name. */
static const char *file_name(const json_t *node)
{
	const char *pseudo = keyval_text(node, NODE_PSEUDO_FILENAME);
	const char *driver = keyval_text(node, "driver");
	const char *prefix, *rest;

	if (!pseudo)
		return keyval_text(node, "filename");
	prefix = block_driver_from_filename(pseudo, &rest);
	return prefix && (!driver || str_equal(driver, prefix)) ? rest : pseudo;
}

static int file_walk(struct chain *chain, const json_t *node, struct chain_place *place,
	struct chain_primary *ret)
{
	const char *name = file_name(node);

	if (!name)
		return 0; /* QEMU refuses it */
	if (place->probe) /* a file node on its own: its bytes are the disk */
		place->format = "raw";
	if (str_starts(name, CHAIN_FDSET))
		return chain_visit_fdset(chain, name, place, ret);
	return chain_visit_file(chain, name, place, ret);
}

static int network_walk(struct chain *chain, const json_t *node, struct chain_place *place,
	struct chain_primary *ret)
{
	(void)node, (void)ret;
	return disks_notes_add(&chain->notes, DISKS_NOTE_NETWORK,
		"%s: an image on the network has no file that could be locked: give a --lease for "
		"it",
		place->origin);
}

static int unlockable_walk(struct chain *chain, const json_t *node, struct chain_place *place,
	struct chain_primary *ret)
{
	(void)node, (void)ret;
	return disks_notes_add(&chain->notes, DISKS_NOTE_UNLOCKABLE,
		"%s: a directory or a device of its own kind cannot be locked", place->origin);
}

static int nothing_walk(struct chain *chain, const json_t *node, struct chain_place *place,
	struct chain_primary *ret)
{
	(void)chain, (void)node, (void)place, (void)ret;
	return 0;
}

typedef int walk_fn(struct chain *chain, const json_t *node, struct chain_place *place,
	struct chain_primary *ret);

static walk_fn *const walks[] = {
	[BLOCK_FILE] = file_walk,
	[BLOCK_FORMAT] = chain_walk_format,
	[BLOCK_FILTER] = chain_walk_filter,
	[BLOCK_NETWORK] = network_walk,
	[BLOCK_UNLOCKABLE] = unlockable_walk,
	[BLOCK_NOTHING] = nothing_walk,
};

/* "json:{...}" is a node in the shape of a name; what stands beside it goes over it. */
static int json_walk(struct chain *chain, const json_t *node, const struct chain_place *place,
	struct chain_primary *ret)
{
	const char *text = keyval_text(node, NODE_PSEUDO_FILENAME) + strlen("json:");
	struct chain_place below = *place;
	_cleanup_(keyval_freep) json_t *flat = NULL;
	_cleanup_(keyval_freep) json_t *made = NULL;
	struct error why = { 0 };
	int code;

	below.depth++;
	code = keyval_parse_json(text, &flat, &why);
	if (code == 0)
		code = keyval_nest(flat, &made, &why);
	if (code == -EINVAL)
		return chain_refuse(chain, place, why.text);
	if (code < 0 || json_object_update_recursive(made, (json_t *)node) < 0)
		return -ENOMEM;
	json_object_del(made, NODE_PSEUDO_FILENAME);
	return chain_walk_node(chain, made, &below, ret);
}

/* What the node itself says goes over what its parent says. */
static void place_enter(const struct chain *chain, const json_t *node, struct chain_place *place)
{
	bool inherits = place->inherits;
	bool automatic =
		keyval_bool(node, "auto-read-only", inherits ? place->auto_read_only : false);
	bool read_only = keyval_bool(node, "read-only", inherits ? !place->writable : false);
	unsigned uses = command_line_uses(chain->line, keyval_text(node, "node-name"));

	/* automatic: writable as soon as something above, or a device of its own, wants to write */
	place->writable = !read_only && (inherits || !automatic || place->writable ||
						place->filtered || uses & ARGV_USE_NO_CDROM);
	place->auto_read_only = automatic;
	place->uses |= uses;
}

int chain_walk_node(struct chain *chain, const json_t *node, const struct chain_place *at,
	struct chain_primary *ret)
{
	const char *pseudo = keyval_text(node, NODE_PSEUDO_FILENAME);
	const char *name = keyval_text(node, "driver");
	const struct block_driver *driver;
	struct chain_place place = *at;
	const char *rest;

	if (place.depth > CHAIN_DEPTH_MAX)
		return chain_refuse(
			chain, &place, "block nodes are nested too deep, or refer to themselves");
	if (++chain->visits > CHAIN_VISITS_MAX)
		return chain_refuse(chain, &place,
			"more than 20000 block nodes in all (each counts as often as it is used)");
	if (pseudo && str_starts(pseudo, "json:"))
		return json_walk(chain, node, &place, ret);
	place_enter(chain, node, &place);
	if (!name && place.probe)
		return chain_walk_format(chain, node, &place, ret);
	if (!name)
		name = pseudo ? block_driver_from_filename(pseudo, &rest) : "file";
	driver = block_driver_find(name);
	if (driver)
		return walks[driver->kind](chain, node, &place, ret);
	if (disks_notes_add(&chain->notes, DISKS_NOTE_UNKNOWN_DRIVER,
		    "%s: vmlatch does not know the block driver '%s'", place.origin,
		    name ? name : pseudo) < 0)
		return -ENOMEM;
	return chain_walk_children(chain, node, &place, ret);
}

void chain_finish(struct chain *chain)
{
	disk_images_finish(&chain->images);
	free(chain->cwd);
	resource_set_finish(&chain->set);
	disks_notes_finish(&chain->notes);
	*chain = (struct chain){ 0 };
}
