/* SPDX-License-Identifier: LGPL-2.1-or-later */
/*
 * disks-dump QEMU [ARGS...]: what vmlatch would lock for this command line, as
 * one JSON object. Starts nothing.
 */
#include <jansson.h>
#include <stdio.h>

#include "base/cleanup.h"
#include "launcher/disks/disks.h"
#include "launcher/disks/keyval.h"

static json_t *text(const char *value)
{
	return value ? json_string_nocheck(value) : json_null();
}

static json_t *resources(const struct disks *disks)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < disks->set.n; i++) {
		const struct resource *resource = &disks->set.items[i];
		const struct disk_image *image = disks_find_image(disks, resource);
		json_t *entry = json_object();

		keyval_set_text(entry, "path", resource->path);
		keyval_set_text(entry, "mode", resource_mode_name(resource->mode));
		keyval_set_text(entry, "origin", resource->origin);
		json_object_set_new(entry, "dev", json_integer(resource->id.dev));
		json_object_set_new(entry, "ino", json_integer(resource->id.ino));
		json_object_set_new(entry, "format", text(image ? image->format : NULL));
		json_object_set_new(entry, "backing", json_boolean(image && image->backing));
		json_array_append_new(array, entry);
	}
	return array;
}

static json_t *notes(const struct disks *disks)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < disks->notes.n; i++) {
		json_t *entry = json_object();

		keyval_set_text(entry, "kind", disks_note_kind_name(disks->notes.items[i].kind));
		keyval_set_text(entry, "text", disks->notes.items[i].text);
		json_array_append_new(array, entry);
	}
	return array;
}

static json_t *monitors(const struct disks *disks)
{
	json_t *array = json_array();
	size_t i;

	for (i = 0; i < disks->line.monitors.n; i++)
		json_array_append_new(array, text(disks->line.monitors.items[i]));
	return array;
}

int main(int argc, char **argv)
{
	static const struct credentials ours = { 0 };
	const struct disks_params params = { .readonly_locks = true, .credentials = &ours };
	_cleanup_(disks_finish) struct disks disks = { 0 };
	_cleanup_(keyval_freep) json_t *out = NULL;
	struct error err = { 0 };

	(void)argc;
	if (disks_from_argv(argv + 1, &params, &disks, &err) < 0) {
		fprintf(stderr, "%s\n", err.text);
		return err.status ? err.status : 1;
	}
	out = json_object();
	json_object_set_new(out, "starts_vm", json_boolean(disks.line.starts_vm));
	json_object_set_new(out, "resources", resources(&disks));
	json_object_set_new(out, "notes", notes(&disks));
	json_object_set_new(out, "monitors", monitors(&disks));
	json_dumpf(out, stdout, JSON_INDENT(1));
	putchar('\n');
	return 0;
}
