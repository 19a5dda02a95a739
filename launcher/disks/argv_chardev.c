/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/* Character devices: who can write to them, whatever reads there. */

/* More than one is of no use, and a loop is none that QEMU starts with. */
#define MUX_LINKS_MAX 8

int scan_add_chardev(struct scan *scan, json_t *options, const char *arg)
{
	return scan_group_add(scan, SCAN_CHARDEV, json_incref(options), arg);
}

int on_chardev(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	json_t *options = NULL;

	(void)option;
	if (keyval_parse(arg, "backend", &options) < 0)
		return -ENOMEM;
	return scan_group_add(scan, SCAN_CHARDEV, options, arg);
}

/* @short_form: "file:/tmp/a", "vc:80Cx24C", "null". */
enum reach scan_device_reach(const char *short_form)
{
	static const struct {
		const char *name;
		enum reach reach;
	} backends[] = {
		{ "none", REACH_NOBODY },
		{ "null", REACH_NOBODY },
		{ "file", REACH_NOBODY },    /* is only written to */
		{ "ringbuf", REACH_NOBODY }, /* only a monitor can write to it */
		{ "memory", REACH_NOBODY },  /* its old name */
		{ "vc", REACH_VIEWER },
	};
	size_t i, len = strcspn(short_form, ":");

	for (i = 0; i < sizeof(backends) / sizeof(*backends); i++) {
		if (strlen(backends[i].name) == len &&
			memcmp(short_form, backends[i].name, len) == 0)
			return backends[i].reach;
	}
	return REACH_SOMEBODY;
}

/* -chardev mux,chardev=ID is what mux=on makes of the character device ID. */
static bool is_mux_backend(const json_t *options)
{
	return str_equal(keyval_text(options, "backend"), "mux");
}

const json_t *scan_find_chardev(const struct scan *scan, const char *id)
{
	const struct scan_items *chardevs = &scan->groups[SCAN_CHARDEV];
	size_t i;

	for (i = 0; id && i < chardevs->n; i++) {
		if (str_equal(keyval_text(chardevs->items[i].options, "id"), id))
			return chardevs->items[i].options;
	}
	return NULL;
}

enum reach scan_chardev_reach(const struct scan *scan, const json_t *options)
{
	const char *backend;
	int links = 0;

	while (options && is_mux_backend(options) && links++ < MUX_LINKS_MAX)
		options = scan_find_chardev(scan, keyval_text(options, "chardev"));
	backend = keyval_text(options, "backend");
	if (!backend || json_object_get(options, "input-path"))
		return REACH_SOMEBODY;
	return scan_device_reach(backend);
}

bool scan_chardev_is_shared(const json_t *options)
{
	return keyval_bool(options, "mux", false) || is_mux_backend(options);
}
