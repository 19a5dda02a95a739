/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>

#include "launcher/vm/block_nodes.h"
#include "launcher/vm/qemu_name.h"

/* What QEMU has open against what is locked. */

struct comparison {
	const struct block_nodes_query *query;
	struct open_image *images;
	size_t n;
	struct resource_set *missing;
	struct strv *problems;
	/* nodes whose file could be any of those that no node explains */
	struct strv untold;
	bool untold_writable; /* one of them may be written */
	size_t candidates;
};

/* QEMU's name of a file, in the directory and the root that it was started in. */
static int stat_as_started(
	const struct block_nodes_query *query, const char *name, struct stat *info)
{
	char path[2 * PATH_MAX];

	if (!query->directory || qemu_name_is_own(name))
		return qemu_name_stat(query->pid, name, info);
	if (name[0] == '/')
		return stat(name, info);
	snprintf(path, sizeof(path), "%s/%s", query->directory, name);
	return stat(path, info);
}

static const struct open_image *find_by_id(
	const struct comparison *comparison, const struct stat *info)
{
	const struct open_image *found = NULL;
	size_t i;

	for (i = 0; i < comparison->n; i++) {
		struct open_image *image = &comparison->images[i];

		if (!resource_identity_is(&image->id, info))
			continue;
		image->explained = true;
		/* of several descriptors the one that can write counts */
		if (!found || image->writable)
			found = image;
	}
	return found;
}

static const struct open_image *find_by_name(const struct comparison *comparison, const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; i < comparison->n; i++) {
		struct open_image *image = &comparison->images[i];

		if (strncmp(image->path, name, len) != 0 ||
			(image->path[len] != '\0' && strcmp(image->path + len, " (deleted)") != 0))
			continue;
		image->explained = true;
		return image;
	}
	return NULL;
}

/* Is this image locked as strongly as it is used? Else it goes into the missing ones. */
static int check_image(struct comparison *comparison, const struct open_image *image,
	enum resource_mode mode, const char *origin)
{
	const struct block_nodes_query *query = comparison->query;
	struct resource wanted = {
		.kind = RESOURCE_DISK,
		.mode = mode,
		.path = image->path,
		.origin = (char *)origin,
		.id = image->id,
	};
	const struct resource *locked = resource_set_find(query->locked, &wanted);

	if (image->unlinked)
		return 0;
	if (mode == RESOURCE_READER && (locked || !query->readers))
		return 0;
	if (locked && (locked->mode != RESOURCE_READER || !image->writable))
		return 0; /* open for reading only: who has looked at all that uses it knows best */
	return resource_set_add(comparison->missing, &wanted, NULL);
}

/* Is this text somewhere in it? */
static bool json_has_text(const json_t *value, const char *text)
{
	const char *key;
	json_t *member;
	size_t i;

	if (json_is_string(value))
		return strcmp(json_string_value(value), text) == 0;
	json_array_foreach (value, i, member) {
		if (json_has_text(member, text))
			return true;
	}
	json_object_foreach ((json_t *)value, key, member) {
		if (json_has_text(member, text))
			return true;
	}
	return false;
}

/* Does a node that is called so stand on the file of that name? */
static bool stands_on(const char *node, const char *file)
{
	json_t *options;
	bool found;

	if (strcmp(node, file) == 0)
		return true;
	if (strncmp(node, "json:", 5) != 0)
		return false;
	options = json_loads(node + 5, 0, NULL);
	found = !options || json_has_text(options, file);
	json_decref(options);
	return found;
}

/*
 * A file node that may be written, but is open for reading only: QEMU opens it
 * anew when somebody wants to write, a device that is plugged in tomorrow, say.
 * Nobody will if what stands on it is read-only.
 */
static bool will_be_written(json_t *nodes, const char *name)
{
	bool read_only = false;
	const char *other;
	json_t *node;
	size_t i;

	json_array_foreach (nodes, i, node) {
		other = json_string_value(json_object_get(node, "file"));
		if (!other || block_nodes_is_file(node) || !stands_on(other, name))
			continue;
		if (!json_is_true(json_object_get(node, "ro")))
			return true;
		read_only = true;
	}
	return !read_only;
}

/* "ro" is a lie only where it says no. */
static enum resource_mode mode_find(
	const struct comparison *comparison, json_t *node, const struct open_image *image)
{
	const char *name = json_string_value(json_object_get(node, "file"));

	if (json_is_true(json_object_get(node, "ro")))
		return RESOURCE_READER;
	if (image->writable || will_be_written(comparison->query->nodes, name))
		return RESOURCE_EXCLUSIVE;
	return RESOURCE_READER;
}

/* A node of which it is not known which file it has. */
static int node_is_untold(
	struct comparison *comparison, json_t *node, const char *name, const struct stat *info)
{
	const char *node_name = json_string_value(json_object_get(node, "node-name"));
	char text[PATH_MAX + 128];

	if (S_ISCHR(info->st_mode)) {
		snprintf(text, sizeof(text), "%s is no block device, and has no locks", name);
		return strv_add(comparison->problems, text);
	}
	comparison->untold_writable |= !json_is_true(json_object_get(node, "ro"));
	snprintf(text, sizeof(text),
		"the file %s of QEMU's block node '%s' is not among its "
		"descriptors",
		name, node_name ? node_name : "?");
	return strv_add(&comparison->untold, text);
}

static int check_node(struct comparison *comparison, json_t *node)
{
	const char *name = json_string_value(json_object_get(node, "file"));
	const char *node_name = json_string_value(json_object_get(node, "node-name"));
	const struct block_nodes_query *query = comparison->query;
	const struct open_image *image = NULL;
	struct stat info = { 0 };
	char text[256];

	if (!name)
		return 0;
	if (stat_as_started(query, name, &info) == 0)
		image = find_by_id(comparison, &info);
	if (!image && qemu_name_stat(query->pid, name, &info) == 0)
		image = find_by_id(comparison, &info);
	if (!image)
		image = find_by_name(comparison, name);
	if (!image)
		return node_is_untold(comparison, node, name, &info);
	snprintf(text, sizeof(text), "QEMU's block node '%s'", node_name ? node_name : "?");
	return check_image(comparison, image, mode_find(comparison, node, image), text);
}

/* QEMU opens its images itself: close-on-exec, and never for writing only, as logs are. */
static bool may_be_image(const struct open_image *image)
{
	return image->close_on_exec && !image->write_only && !image->life_line &&
	       !image->explained && image->number > 2;
}

/* The graph has not named these; but a block node is known by QEMU's own image locks. */
static int check_unnamed(struct comparison *comparison, const struct open_image *image)
{
	enum resource_mode mode = image->writable ? RESOURCE_EXCLUSIVE : RESOURCE_READER;
	bool candidate = may_be_image(image);

	comparison->candidates += candidate;
	if (image->image_locked)
		return check_image(comparison, image, mode, "QEMU's descriptors");
	if (!candidate || (comparison->query->nodes && !comparison->untold.n))
		return 0;
	if (!comparison->query->nodes || comparison->untold_writable)
		mode = RESOURCE_EXCLUSIVE;
	return check_image(comparison, image, mode, "QEMU's descriptors");
}

/* Those that none of the candidates can be. */
static int report_untold(struct comparison *comparison)
{
	size_t i;
	int code = 0;

	if (comparison->candidates >= comparison->untold.n)
		return 0;
	for (i = 0; code == 0 && i < comparison->untold.n; i++)
		code = strv_add(comparison->problems, comparison->untold.items[i]);
	return code;
}

int block_nodes_missing(const struct block_nodes_query *query, struct resource_set *ret,
	struct strv *problems, struct error *err)
{
	struct comparison comparison = { .query = query, .missing = ret, .problems = problems };
	json_t *node;
	size_t i;
	int code;

	code = open_images_read(query->pid, &comparison.images, &comparison.n, err);
	if (code < 0)
		return code;
	json_array_foreach (query->nodes, i, node) {
		if (code == 0 && block_nodes_is_file(node))
			code = check_node(&comparison, node);
	}
	for (i = 0; code == 0 && i < comparison.n; i++)
		code = check_unnamed(&comparison, &comparison.images[i]);
	if (code == 0)
		code = report_untold(&comparison);
	open_images_free(comparison.images, comparison.n);
	strv_finish(&comparison.untold);
	return code < 0 ? error_set(err, code, "compare QEMU's block graph: %s", strerror(-code))
			: 0;
}
