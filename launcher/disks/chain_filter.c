/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/disks/chain_walk.h"
#include "launcher/disks/keyval.h"

/* A filter: what a bare name means to it, and its children. */

/* Those that are protocols too: their names have two parts, and no child is called "file". */
static const struct named_filter {
	const char *driver;
	const char *prefix;
	const char *first; /* NULL: no image */
	const char *last;  /* also of a name without the prefix */
} named_filters[] = {
	{ "blkdebug", "blkdebug:", NULL, "image" },
	{ "blkverify", "blkverify:", "raw", "test" },
};

static const struct named_filter *named_filter_find(const char *driver)
{
	size_t i;

	for (i = 0; i < sizeof(named_filters) / sizeof(*named_filters); i++) {
		if (str_equal(driver, named_filters[i].driver))
			return &named_filters[i];
	}
	return NULL;
}

/* The child gets that name; what else is said of it stays. 0 or -ENOMEM. */
static int child_name(json_t *node, const char *key, const char *name)
{
	json_t *child = chain_node(json_object_get(node, key), NODE_PSEUDO_FILENAME, name);

	return json_object_set_new_nocheck(node, key, child) < 0 ? -ENOMEM : 0;
}

/* Give the name's parts to the children. 0 or -ENOMEM. */
static int name_split(json_t *node, const struct named_filter *filter, const char *name)
{
	_cleanup_(freep) char *first = NULL;
	const char *colon;

	if (!str_starts(name, filter->prefix))
		return child_name(node, filter->last, name);
	name += strlen(filter->prefix);
	colon = strchr(name, ':');
	if (!colon)
		return 0; /* QEMU refuses it */
	if (filter->first) {
		first = strndup(name, colon - name);
		if (!first || child_name(node, filter->first, first) < 0)
			return -ENOMEM;
	}
	return child_name(node, filter->last, colon + 1);
}

int chain_walk_filter(struct chain *chain, const json_t *node, struct chain_place *place,
	struct chain_primary *ret)
{
	const char *pseudo = keyval_text(node, NODE_PSEUDO_FILENAME);
	const char *driver = keyval_text(node, "driver"), *rest;
	_cleanup_(keyval_freep) json_t *made = NULL;
	const struct named_filter *filter;
	int code;

	/* a copy that is read, a log, a repair: all but throttling can */
	place->filtered |= !str_equal(driver, "throttle");
	if (!pseudo)
		return chain_walk_children(chain, node, place, ret);
	if (!driver)
		driver = block_driver_from_filename(pseudo, &rest);
	filter = named_filter_find(driver);
	made = chain_node(node, "driver", driver);
	if (!made)
		return -ENOMEM;
	code = filter ? name_split(made, filter, pseudo) : child_name(made, "file", pseudo);
	return code < 0 ? code : chain_walk_children(chain, made, place, ret);
}
