/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/disks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/config_read.h"
#include "launcher/disks/keyval.h"

void disks_finish(struct disks *disks)
{
	disk_images_finish(&disks->images);
	command_line_finish(&disks->line);
	resource_set_finish(&disks->set);
	disks_notes_finish(&disks->notes);
	*disks = (struct disks){ 0 };
}

/* Follow the images of @disks->line. */
static int images_follow(struct disks *disks, const struct disks_params *params, struct error *err)
{
	_cleanup_(chain_finish) struct chain chain = {
		.line = &disks->line,
		.credentials = params->credentials,
		.readonly_locks = params->readonly_locks,
		.keep_open = params->keep_open,
		.note_missing = params->note_missing,
		/* so that all notes are in one list, the command line's first */
		.notes = disks->line.notes,
	};
	int code;

	disks->line.notes = (struct disks_notes){ 0 };
	code = chain_follow(&chain, err);
	if (code < 0)
		return code;
	disks->set = chain.set;
	disks->images = chain.images;
	disks->relative = chain.relative;
	disks->from_set = chain.from_set;
	disks->by_descriptor = chain.by_descriptor;
	disks->notes = chain.notes;
	chain.set = (struct resource_set){ 0 };
	chain.notes = (struct disks_notes){ 0 };
	chain.images = (struct disk_images){ 0 };
	return 0;
}

int disks_from_line(struct command_line *line, const struct disks_params *params, struct disks *ret,
	struct error *err)
{
	_cleanup_(disks_finish) struct disks disks = { .line = *line };
	int code;

	*line = (struct command_line){ 0 };
	code = images_follow(&disks, params, err);
	if (code < 0)
		return code;
	*ret = disks;
	disks = (struct disks){ 0 };
	return 0;
}

int disks_from_argv(
	char **argv, const struct disks_params *params, struct disks *ret, struct error *err)
{
	struct command_line line;
	int code = command_line_parse(argv, config_read, &line, err);

	return code < 0 ? code : disks_from_line(&line, params, ret, err);
}

/* -drive's node for a plain path, and the uses that lead to the wanted mode. */
static int path_line(const char *path, enum resource_mode mode, struct command_line *line)
{
	struct argv_image *image = calloc(1, sizeof(*image));
	unsigned uses = mode == RESOURCE_SHARED ? ARGV_USE_DEVICE | ARGV_USE_NO_CDROM : 0;

	line->images = image;
	line->uses = json_object();
	if (!image || !line->uses)
		return -ENOMEM;
	line->n_images = 1;
	image->id = strdup("disk");
	image->origin = strdup("vmlatch attach");
	image->node = json_pack("{s:{}, s:b}", "file", "read-only", mode == RESOURCE_READER);
	if (!image->id || !image->origin || !image->node ||
		json_object_set_new(line->uses, "disk", json_integer(uses)) < 0)
		return -ENOMEM;
	return keyval_set_text(json_object_get(image->node, "file"), "filename", path);
}

int disks_from_path(const char *path, enum resource_mode mode, const struct disks_params *params,
	struct disks *ret, struct error *err)
{
	_cleanup_(disks_finish) struct disks disks = { 0 };
	int code;

	if (path_line(path, mode, &disks.line) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	code = images_follow(&disks, params, err);
	if (code < 0)
		return code;
	*ret = disks;
	disks = (struct disks){ 0 };
	return 0;
}

const struct disk_image *disks_find_image(
	const struct disks *disks, const struct resource *resource)
{
	size_t place = disk_images_find(&disks->images, &resource->id);

	return place == CHAIN_NO_IMAGE ? NULL : &disks->images.items[place];
}
