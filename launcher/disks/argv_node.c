/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/* What was collected becomes block nodes, and what uses them. */

int scan_add_image(struct command_line *line, json_t *node, const char *id, const char *origin)
{
	struct argv_image image = { .node = node, .origin = strdup(origin) };
	struct argv_image *grown =
		reallocarray(line->images, line->n_images + 1, sizeof(*line->images));

	if (grown)
		line->images = grown;
	if (id)
		image.id = strdup(id);
	if (!grown || !image.origin || (id && !image.id)) {
		free(image.origin);
		free(image.id);
		json_decref(node);
		return -ENOMEM;
	}
	line->images[line->n_images++] = image;
	return 0;
}

static int use_add(struct command_line *line, const char *name, unsigned bits)
{
	bits |= command_line_uses(line, name);
	return json_object_set_new_nocheck(line->uses, name, json_integer(bits)) < 0 ? -ENOMEM : 0;
}

int scan_add_unknown_use(struct command_line *line, const char *name)
{
	return use_add(line, name, ARGV_USE_UNKNOWN);
}

/* A disk that another program has opened. */
static bool is_served_elsewhere(const char *driver)
{
	static const char *const drivers[] = { "vhost-scsi", "vhost-user-blk", "vhost-user-scsi" };
	size_t i;

	for (i = 0; driver && i < sizeof(drivers) / sizeof(*drivers); i++) {
		if (str_starts(driver, drivers[i]))
			return true;
	}
	return false;
}

static int device_understand(struct scan *scan, const struct scan_item *item)
{
	const char *drive = keyval_text(item->options, "drive");
	const char *driver = keyval_text(item->options, "driver");
	unsigned bits = ARGV_USE_DEVICE;

	if (is_served_elsewhere(driver))
		return disks_notes_add(&scan->line->notes, DISKS_NOTE_UNLOCKABLE,
			"%s: its disk is another program's, and cannot be locked: give a --lease "
			"for it",
			item->origin);
	if (!drive)
		return 0;
	if (!keyval_bool(item->options, "share-rw", false))
		bits |= ARGV_USE_NO_SHARING;
	if (!str_equal(driver, "ide-cd") && !str_equal(driver, "scsi-cd"))
		bits |= ARGV_USE_NO_CDROM;
	return use_add(scan->line, drive, bits);
}

static bool drive_is_read_only(const struct scan *scan, const json_t *options)
{
	return keyval_bool(options, "readonly", false) ||
	       keyval_bool(options, "read-only", false) ||
	       str_equal(keyval_text(options, "media"), "cdrom") ||
	       keyval_bool(options, "snapshot", scan->line->snapshot);
}

/* 0 or -ENOMEM, also if there is no such member. */
static int member_rename(json_t *options, const char *from, const char *to)
{
	json_t *value = json_object_get(options, from);

	if (value && json_object_set_nocheck(options, to, value) < 0)
		return -ENOMEM;
	json_object_del(options, from);
	return 0;
}

/* cache=MODE, as a node says it. What cannot be seen in a node is left out. */
static int cache_mode_spell_out(json_t *options)
{
	static const struct {
		const char *mode, *key;
	} rows[] = {
		{ "none", "cache.direct" },
		{ "off", "cache.direct" },
		{ "directsync", "cache.direct" },
		{ "unsafe", "cache.no-flush" },
	};
	const char *mode = keyval_text(options, "cache");
	size_t i;

	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		if (str_equal(mode, rows[i].mode) && !json_object_get(options, rows[i].key))
			return keyval_set_text(options, rows[i].key, "on");
	}
	return 0;
}

/* What no block node has. */
static void drive_only_drop(json_t *options)
{
	static const char *const names[] = { "file", "readonly", "media", "snapshot", "cache", "if",
		"id" };
	const char *key;
	json_t *value;
	void *next;
	size_t i;

	json_object_foreach_safe (options, next, key, value) {
		for (i = 0; i < sizeof(names) / sizeof(*names); i++) {
			if (strcmp(key, names[i]) == 0) {
				json_object_del(options, key);
				break;
			}
		}
	}
}

/* Turn what belongs to -drive alone into what a block node has. */
static int drive_to_node(const struct scan *scan, json_t *options)
{
	const char *file = keyval_text(options, "file");
	bool read_only = drive_is_read_only(scan, options);
	int code = 0;

	if (file && *file)
		code = member_rename(options, "file", NODE_PSEUDO_FILENAME);
	if (code == 0)
		code = member_rename(options, "format", "driver");
	if (code == 0)
		code = cache_mode_spell_out(options);
	drive_only_drop(options);
	if (code == 0)
		code = json_object_set_new_nocheck(options, "read-only", json_boolean(read_only));
	if (code == 0 && !json_object_get(options, "auto-read-only"))
		code = json_object_set_new_nocheck(options, "auto-read-only", json_true());
	return code < 0 ? -ENOMEM : 0;
}

/* A drive without a medium, or a question for the list of formats. */
static bool node_is_empty(const json_t *node)
{
	const char *driver = keyval_text(node, "driver");

	return !json_object_get(node, NODE_PSEUDO_FILENAME) && !json_object_get(node, "file") &&
	       (!driver || str_equal(driver, "help") || str_equal(driver, "?"));
}

static int drive_understand(struct scan *scan, struct scan_item *item)
{
	/* every other interface makes the machine attach it, and never shared */
	bool attached = !str_equal(keyval_text(item->options, "if"), "none");
	const char *drive_id = keyval_text(item->options, "id");
	_cleanup_(freep) char *id = drive_id ? strdup(drive_id) : NULL;
	json_t *node = NULL;
	struct error why = { 0 };
	int code;

	if (drive_id && !id)
		return -ENOMEM;
	if (id && attached && scan_add_unknown_use(scan->line, id) < 0)
		return -ENOMEM;
	if (drive_to_node(scan, item->options) < 0)
		return -ENOMEM;
	code = keyval_nest(item->options, &node, &why);
	if (code == -EINVAL)
		return disks_notes_add(&scan->line->notes, DISKS_NOTE_NOT_UNDERSTOOD, "%s: %s",
			item->origin, why.text);
	if (code < 0)
		return code;
	if (node_is_empty(node)) {
		json_decref(node);
		return 0;
	}
	code = scan_add_image(scan->line, node, id, item->origin);
	if (code == 0 && !id && attached)
		scan->line->images[scan->line->n_images - 1].uses = ARGV_USE_UNKNOWN;
	return code;
}

int scan_finish_images(struct scan *scan)
{
	size_t i;

	for (i = 0; i < scan->groups[SCAN_DEVICE].n; i++) {
		if (device_understand(scan, &scan->groups[SCAN_DEVICE].items[i]) < 0)
			return -ENOMEM;
	}
	for (i = 0; i < scan->groups[SCAN_DRIVE].n; i++) {
		if (drive_understand(scan, &scan->groups[SCAN_DRIVE].items[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}
