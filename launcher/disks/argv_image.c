/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/*
 * First the options are collected as they stand (-set may change them, and
 * -snapshot may come last), then they become nodes and uses.
 */

/* Takes @options over, also on failure. */
static int group_add(struct scan *scan, enum scan_group group, json_t *options, const char *arg)
{
	struct scan_items *items = &scan->groups[group];
	_cleanup_(keyval_freep) json_t *owned = options;
	_cleanup_(freep) char *origin = scan_origin(scan, arg);

	if (!options || !origin)
		return -ENOMEM;
	if (items->n == items->size) {
		size_t size = items->size ? items->size * 2 : 16;
		struct scan_item *grown = reallocarray(items->items, size, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		items->items = grown;
		items->size = size;
	}
	items->items[items->n++] = (struct scan_item){ take_ptr(owned), take_ptr(origin) };
	return 0;
}

int on_drive(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	json_t *options = NULL;

	(void)option;
	if (keyval_parse(arg, NULL, &options) < 0)
		return -ENOMEM;
	return group_add(scan, SCAN_DRIVE, options, arg);
}

/* -hda and its like: the name is taken as it is, commas and all. */
int on_file(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	json_t *options = NULL;

	if (keyval_parse(option->extra ? option->extra : "", NULL, &options) < 0)
		return -ENOMEM;
	if (keyval_set_text(options, "file", arg) < 0) {
		json_decref(options);
		return -ENOMEM;
	}
	return group_add(scan, SCAN_DRIVE, options, arg);
}

/* Takes @node over, also on failure; @id may be NULL. */
static int image_add(struct command_line *line, json_t *node, const char *id, const char *origin)
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

int on_blockdev(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;
	_cleanup_(freep) char *origin = scan_origin(scan, arg);
	json_t *node = NULL;
	struct error why = { 0 };
	int code;

	(void)option;
	if (!origin)
		return -ENOMEM;
	code = *arg == '{' ? keyval_parse_json(arg, &options, &why)
			   : keyval_parse(arg, NULL, &options);
	if (code == 0)
		code = keyval_nest(options, &node, &why);
	if (code == -EINVAL)
		return scan_not_understood(scan, arg, why.text);
	if (code < 0)
		return code;
	return image_add(scan->line, node, NULL, origin);
}

int on_device(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	json_t *options = NULL;
	struct error why = { 0 };
	int code;

	(void)option;
	code = *arg == '{' ? keyval_parse_json(arg, &options, &why)
			   : keyval_parse(arg, "driver", &options);
	if (code == -EINVAL)
		return scan_not_understood(scan, arg, why.text);
	return code < 0 ? code : group_add(scan, SCAN_DEVICE, options, arg);
}

static int use_add(struct command_line *line, const char *name, unsigned bits)
{
	bits |= command_line_uses(line, name);
	return json_object_set_new_nocheck(line->uses, name, json_integer(bits)) < 0 ? -ENOMEM : 0;
}

/* Something uses a drive of that name, and we cannot tell more. */
static int use_add_unknown(struct command_line *line, const char *name)
{
	return use_add(line, name, ARGV_USE_DEVICE | ARGV_USE_NO_SHARING | ARGV_USE_NO_CDROM);
}

/* -global DRIVER.drive=NODE, or driver=,property=,value= */
int on_global(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;
	size_t len = strcspn(arg, ".=");
	const char *value;

	(void)option;
	if (arg[len] == '.' && str_starts(arg + len, ".drive="))
		return use_add_unknown(scan->line, arg + len + strlen(".drive="));
	if (keyval_parse(arg, NULL, &options) < 0)
		return -ENOMEM;
	value = keyval_text(options, "value");
	if (!value || !str_equal(keyval_text(options, "property"), "drive"))
		return 0;
	return use_add_unknown(scan->line, value);
}

/* -machine pflash0=NODE */
int on_machine(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	static const char *const keys[] = { "pflash0", "pflash1" };
	_cleanup_(keyval_freep) json_t *options = NULL;
	const char *name;
	size_t i;

	(void)option;
	if (keyval_parse(arg, "type", &options) < 0)
		return -ENOMEM;
	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		name = keyval_text(options, keys[i]);
		if (name && use_add_unknown(scan->line, name) < 0)
			return -ENOMEM;
	}
	return 0;
}

/* Split "GROUP.ID.KEY=VALUE" in place; false: it is none. */
static bool setting_split(char *text, char *parts[static 4])
{
	static const char separators[] = "..=";
	size_t i;

	for (i = 0; i < 3; i++) {
		parts[i] = text;
		text = strchr(text, separators[i]);
		if (!text)
			return false;
		*text++ = '\0';
	}
	parts[3] = text;
	return true;
}

/* -set drive.ID.file=NAME changes what an earlier argument said. */
int on_set(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	static const char *const groups[] = { [SCAN_DRIVE] = "drive", [SCAN_DEVICE] = "device" };
	_cleanup_(freep) char *copy = strdup(arg);
	char *parts[4];
	size_t group, i;

	(void)option;
	if (!copy)
		return -ENOMEM;
	if (!setting_split(copy, parts))
		return scan_not_understood(scan, arg, "not of the form GROUP.ID.KEY=VALUE");
	for (group = 0; group < SCAN_N_GROUPS; group++) {
		struct scan_items *items = &scan->groups[group];

		for (i = 0; i < items->n && strcmp(groups[group], parts[0]) == 0; i++) {
			if (str_equal(keyval_text(items->items[i].options, "id"), parts[1]))
				return keyval_set_text(items->items[i].options, parts[2], parts[3]);
		}
	}
	return 0; /* QEMU refuses what is not there; other groups have no disks */
}

static int device_understand(struct scan *scan, const struct scan_item *item)
{
	const char *drive = keyval_text(item->options, "drive");
	const char *driver = keyval_text(item->options, "driver");
	unsigned bits = ARGV_USE_DEVICE;

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

/* Turn what belongs to -drive alone into what a block node has. */
static int drive_to_node(const struct scan *scan, json_t *options)
{
	static const char *const drive_only[] = { "file", "format", "readonly", "media", "snapshot",
		"cache", "if", "id" };
	const char *file = keyval_text(options, "file");
	const char *format = keyval_text(options, "format");
	bool read_only = drive_is_read_only(scan, options);
	int code = 0;
	size_t i;

	if (file && *file)
		code = keyval_set_text(options, NODE_PSEUDO_FILENAME, file);
	if (code == 0 && format)
		code = keyval_set_text(options, "driver", format);
	if (code == 0)
		code = keyval_set_text(options, "read-only", read_only ? "on" : "off");
	if (code == 0 && !json_object_get(options, "auto-read-only"))
		code = keyval_set_text(options, "auto-read-only", "on");
	for (i = 0; i < sizeof(drive_only) / sizeof(*drive_only); i++)
		json_object_del(options, drive_only[i]);
	return code;
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
	const char *interface = keyval_text(item->options, "if");
	const char *drive_id = keyval_text(item->options, "id");
	_cleanup_(freep) char *id = drive_id ? strdup(drive_id) : NULL;
	json_t *node = NULL;
	struct error why = { 0 };
	int code;

	if (drive_id && !id)
		return -ENOMEM;
	/* every other interface makes the machine attach it, and never shared */
	if (id && !str_equal(interface, "none") && use_add_unknown(scan->line, id) < 0)
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
	return image_add(scan->line, node, id, item->origin);
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
