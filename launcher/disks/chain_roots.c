/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/credentials.h"
#include "launcher/disks/chain_walk.h"
#include "launcher/disks/keyval.h"

/*
 * Where the walk begins: with the nodes that no other node refers to. What is
 * referred to is reached from above, because QEMU takes from there whether it
 * will be written.
 */

static int index_node(struct chain *chain, json_t *node);

/* A child under a key of the table: a reference, or a node of its own. */
static int index_child(struct chain *chain, json_t *child)
{
	const char *name = json_string_value(child);

	if (!name)
		return index_node(chain, child);
	return json_object_set_new_nocheck(chain->references, name, json_true()) < 0 ? -ENOMEM : 0;
}

/* All names in this tree. Its depth is bounded: keyval_nest() has built it. */
static int index_node(struct chain *chain, json_t *node)
{
	const char *name = keyval_text(node, "node-name");
	const char *key;
	json_t *value;
	size_t i;

	if (!json_is_object(node))
		return 0;
	if (name && json_object_set_nocheck(chain->nodes, name, node) < 0)
		return -ENOMEM;
	value = json_object_get(node, "backing");
	if (value && index_child(chain, value) < 0)
		return -ENOMEM;
	if (!chain_has_children(node))
		return 0;
	for (i = 0; i < block_children_n; i++) {
		const struct block_child *row = &block_children[i];
		json_t *element;

		value = json_object_get(node, row->key);
		if (value && !row->array && index_child(chain, value) < 0)
			return -ENOMEM;
		if (!row->array)
			continue;
		json_object_foreach (value, key, element) {
			if (index_child(chain, element) < 0)
				return -ENOMEM;
		}
	}
	return 0;
}

static int index_images(struct chain *chain)
{
	size_t i;

	for (i = 0; i < chain->line->n_images; i++) {
		const struct argv_image *image = &chain->line->images[i];

		if (index_node(chain, image->node) < 0)
			return -ENOMEM;
		if (image->id && json_object_set_nocheck(chain->nodes, image->id, image->node) < 0)
			return -ENOMEM;
	}
	return 0;
}

static bool image_is_in(const json_t *names, const struct argv_image *image)
{
	const char *node_name = keyval_text(image->node, "node-name");

	return (image->id && json_object_get(names, image->id)) ||
	       (node_name && json_object_get(names, node_name));
}

static int root_walk(struct chain *chain, const struct argv_image *image)
{
	_cleanup_(chain_primary_finish) struct chain_primary primary = CHAIN_PRIMARY_INIT;
	struct chain_place place = {
		.image = CHAIN_NO_IMAGE,
		.origin = image->origin,
		.probe = true,
		.writable = true,
		.plain = true,
		.uses = image->uses | command_line_uses(chain->line, image->id),
	};

	return chain_walk_node(chain, image->node, &place, &primary);
}

static int roots_walk(struct chain *chain)
{
	const struct command_line *line = chain->line;
	size_t i;
	int code = 0;

	for (i = 0; i < line->n_images && code == 0; i++) {
		if (!image_is_in(chain->references, &line->images[i]))
			code = root_walk(chain, &line->images[i]);
	}
	/* left over: nodes that refer to each other in a circle; the walk will say so */
	for (i = 0; i < line->n_images && code == 0; i++) {
		if (image_is_in(chain->references, &line->images[i]) &&
			!image_is_in(chain->followed, &line->images[i]))
			code = root_walk(chain, &line->images[i]);
	}
	return code;
}

int chain_follow(struct chain *chain, struct error *err)
{
	_cleanup_(keyval_freep) json_t *nodes = json_object();
	_cleanup_(keyval_freep) json_t *references = json_object();
	_cleanup_(keyval_freep) json_t *followed = json_object();
	struct credentials_saved saved;
	int code;

	chain->err = err;
	chain->nodes = nodes;
	chain->references = references;
	chain->followed = followed;
	if (!nodes || !references || !followed || index_images(chain) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	code = credentials_enter(chain->credentials, &saved, err);
	if (code < 0)
		return code;
	code = roots_walk(chain);
	if (code == 0)
		code = chain_visit_memories(chain);
	credentials_leave(&saved);
	chain->nodes = chain->references = chain->followed = NULL;
	chain->err = NULL;
	return code == -ENOMEM ? error_set(err, code, "out of memory") : code;
}
