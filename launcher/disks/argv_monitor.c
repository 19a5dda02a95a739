/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/*
 * Every way to make the guest run that vmlatch does not see. Each becomes a
 * sentence that names the argument and says how to avoid it.
 */

int scan_add_monitor(struct scan *scan, const char *arg, const char *why)
{
	_cleanup_(freep) char *origin = scan_origin(scan, arg);
	_cleanup_(freep) char *reason = NULL;

	if (!origin || asprintf(&reason, "%s: %s", origin, why) < 0)
		return -ENOMEM;
	return strv_add(&scan->line->monitors, reason);
}

static bool reaches_nobody(const char *character_device)
{
	return str_equal(character_device, "none") || str_equal(character_device, "null");
}

int on_monitor(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)option;
	scan->no_default_monitor = true;
	if (reaches_nobody(arg))
		return 0;
	return scan_add_monitor(scan, arg,
		"whoever has this monitor can resume the guest; use vmlatch's own commands and "
		"QMP socket instead");
}

int on_serial(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	if (!str_starts(arg, "mon:"))
		return 0;
	if (option->extra)
		scan->no_default_monitor = true;
	if (reaches_nobody(arg + strlen("mon:")))
		return 0;
	return scan_add_monitor(scan, arg, "a monitor shares this port; leave out 'mon:'");
}

int on_debugger(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	if (arg && reaches_nobody(arg))
		return 0;
	if (strcmp(option->name, "qtest") == 0)
		return scan_add_monitor(
			scan, arg, "a test driver can write to the disks; leave it out");
	return scan_add_monitor(scan, arg, "a debugger can resume the guest; leave it out");
}

static int display_set(struct scan *scan, const char *type)
{
	char *copy = strdup(type);

	if (!copy)
		return -ENOMEM;
	free(scan->display);
	scan->display = copy;
	return 0;
}

/* -display, and the options that are short for one. @extra: the type. */
int on_display(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;
	const char *type = option->extra;

	if (!type && *arg == '{') {
		struct error why = { 0 };
		int code = keyval_parse_json(arg, &options, &why);

		if (code < 0)
			return code == -EINVAL ? scan_not_understood(scan, arg, why.text) : code;
	} else if (!type && keyval_parse(arg, "type", &options) < 0) {
		return -ENOMEM;
	}
	if (!type && json_object_get(options, "vnc"))
		type = "vnc";
	else if (!type)
		type = keyval_text(options, "type");
	if (str_equal(type, "vnc")) {
		const char *where = options ? keyval_text(options, "vnc") : arg;

		scan->vnc = where && !str_starts(where, "none");
		scan->remote = true;
		return 0;
	}
	if (str_equal(type, "spice") || str_equal(type, "spice-app")) {
		scan->spice = scan->remote = true;
		return 0;
	}
	if (str_equal(type, "nographic")) {
		scan->nographic = true;
		type = "none";
	}
	return display_set(scan, type ? type : "default");
}

/* What shows QEMU's own consoles, the default monitor among them. NULL: nothing. */
static const char *console_viewer(const struct scan *scan)
{
	if (scan->vnc)
		return "VNC";
	if (scan->spice)
		return "SPICE";
	if (!scan->display && scan->remote)
		return NULL;
	if (str_equal(scan->display, "none") || str_equal(scan->display, "egl-headless"))
		return NULL;
	return "QEMU's window";
}

static int window_finish(struct scan *scan)
{
	static const char *const with_menu[] = { "gtk", "cocoa", "default" };
	size_t i;

	scan->option = "-display";
	if (!scan->display && !scan->remote) {
		scan->option = "";
		return scan_add_monitor(scan, "no -display",
			"QEMU opens a window whose menu can resume the guest, or a VNC server; "
			"add '-display none' or '-vnc'");
	}
	for (i = 0; i < sizeof(with_menu) / sizeof(*with_menu); i++) {
		if (str_equal(scan->display, with_menu[i]))
			return scan_add_monitor(scan, scan->display,
				"the window's menu can resume the guest; use '-display none' or "
				"'-vnc'");
	}
	return 0;
}

int scan_finish_monitors(struct scan *scan)
{
	const char *viewer = console_viewer(scan);

	if (window_finish(scan) < 0)
		return -ENOMEM;
	if (scan->no_default_monitor || scan->line->nodefaults)
		return 0;
	scan->option = scan->nographic ? "-nographic" : "";
	if (scan->nographic)
		return scan_add_monitor(
			scan, NULL, "puts QEMU's monitor on the terminal; add '-monitor none'");
	if (!viewer)
		return 0;
	return scan_add_monitor(scan, viewer, "shows QEMU's monitor; add '-monitor none'");
}
