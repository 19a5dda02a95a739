/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/*
 * The options are collected as they stand (-set may change them, and -snapshot
 * may come last); argv_node.c makes nodes and uses of them.
 */

int scan_group_add(struct scan *scan, enum scan_group group, json_t *options, const char *arg)
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

int scan_add_drive(struct scan *scan, json_t *options, const char *arg)
{
	return scan_group_add(scan, SCAN_DRIVE, json_incref(options), arg);
}

int scan_add_device(struct scan *scan, json_t *options, const char *arg)
{
	return scan_group_add(scan, SCAN_DEVICE, json_incref(options), arg);
}

int scan_add_object(struct scan *scan, json_t *options, const char *arg)
{
	return scan_group_add(scan, SCAN_OBJECT, json_incref(options), arg);
}

int on_drive(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	json_t *options = NULL;

	(void)option;
	if (keyval_parse(arg, NULL, &options) < 0)
		return -ENOMEM;
	return scan_group_add(scan, SCAN_DRIVE, options, arg);
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
	return scan_group_add(scan, SCAN_DRIVE, options, arg);
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
	return scan_add_image(scan->line, node, NULL, origin);
}

/* "a=b,..." or JSON, of whose first word the key may be left out. */
static int on_either(struct scan *scan, enum scan_group group, const char *implied, const char *arg)
{
	json_t *options = NULL;
	struct error why = { 0 };
	int code;

	code = *arg == '{' ? keyval_parse_json(arg, &options, &why)
			   : keyval_parse(arg, implied, &options);
	if (code == -EINVAL && group == SCAN_OBJECT &&
		scan_add_monitor(scan, arg, "may be a test driver; leave it out") < 0)
		return -ENOMEM;
	if (code == -EINVAL)
		return scan_not_understood(scan, arg, why.text);
	return code < 0 ? code : scan_group_add(scan, group, options, arg);
}

int on_device(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)option;
	return on_either(scan, SCAN_DEVICE, "driver", arg);
}

int on_object(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)option;
	return on_either(scan, SCAN_OBJECT, "qom-type", arg);
}

int scan_add_global(struct scan *scan, json_t *options, const char *arg)
{
	const char *value = keyval_text(options, "value");

	(void)arg;
	if (!value || !str_equal(keyval_text(options, "property"), "drive"))
		return 0;
	return scan_add_unknown_use(scan->line, value);
}

/* -global DRIVER.drive=NODE, or driver=,property=,value= */
int on_global(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;
	size_t len = strcspn(arg, ".=");

	(void)option;
	if (arg[len] == '.' && str_starts(arg + len, ".drive="))
		return scan_add_unknown_use(scan->line, arg + len + strlen(".drive="));
	if (keyval_parse(arg, NULL, &options) < 0)
		return -ENOMEM;
	return scan_add_global(scan, options, arg);
}

/* -machine pflash0=NODE,accel=NAME:NAME */
int scan_add_machine(struct scan *scan, json_t *options, const char *arg)
{
	static const char *const keys[] = { "pflash0", "pflash1" };
	const char *name = keyval_text(options, "accel");
	size_t i;

	if (name && scan_add_machine_accel(scan, name, arg) < 0)
		return -ENOMEM;
	for (i = 0; i < sizeof(keys) / sizeof(*keys); i++) {
		name = keyval_text(options, keys[i]);
		if (name && scan_add_unknown_use(scan->line, name) < 0)
			return -ENOMEM;
	}
	return 0;
}

int on_machine(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;

	(void)option;
	if (keyval_parse(arg, "type", &options) < 0)
		return -ENOMEM;
	return scan_add_machine(scan, options, arg);
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
	static const char *const groups[SCAN_N_GROUPS] = {
		[SCAN_DRIVE] = "drive",
		[SCAN_DEVICE] = "device",
		[SCAN_CHARDEV] = "chardev",
		[SCAN_MONITOR] = "mon",
		[SCAN_VNC] = "vnc",
	};
	_cleanup_(freep) char *copy = strdup(arg);
	char *parts[4];
	size_t group, i;

	(void)option;
	if (!copy || scan_add_forwards(scan, arg) < 0)
		return -ENOMEM;
	if (!setting_split(copy, parts))
		return scan_not_understood(scan, arg, "not of the form GROUP.ID.KEY=VALUE");
	/* a -drive has two names then: for -device the new one, for -set the old one */
	if (strcmp(parts[2], "id") == 0)
		return scan_not_understood(scan, arg, "changes an ID");
	for (group = 0; group < sizeof(groups) / sizeof(*groups); group++) {
		struct scan_items *items = &scan->groups[group];

		for (i = 0; i < items->n && str_equal(groups[group], parts[0]); i++) {
			if (str_equal(keyval_text(items->items[i].options, "id"), parts[1]))
				return keyval_set_text(items->items[i].options, parts[2], parts[3]);
		}
	}
	/* -monitor and -qmp make ones that QEMU names itself ("compat_monitor0") */
	if (str_equal(parts[0], groups[SCAN_MONITOR]) || str_equal(parts[0], groups[SCAN_CHARDEV]))
		return scan_add_monitor(scan, arg,
			"may lead a monitor elsewhere; give it with -chardev and -mon instead");
	return 0; /* QEMU refuses what is not there; other groups have no disks and no monitors */
}
