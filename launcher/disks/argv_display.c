/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/*
 * What shows the VM, and what else one can do there: see QEMU's own text
 * consoles (where its default monitor is), or let the guest run by a menu.
 */

struct display {
	const char *type;
	const char *viewer;  /* what shows the text consoles; NULL: nothing does */
	const char *menu;    /* why it alone can make the guest run; NULL: it cannot */
	bool starts_helpers; /* its libraries do: dbus-launch without a session bus, a viewer */
};

#define MENU                                                                                   \
	"the window's menu can resume the guest; use '-display none' instead, or '-vnc' with " \
	"'-monitor none'"

/* The last stands for what is not in the table. */
static const struct display displays[] = {
	{ "none", NULL, NULL, false },
	{ "egl-headless", NULL, NULL, false },
	{ "curses", "curses on the terminal", NULL, false },
	{ "sdl", "QEMU's window", NULL, true },
	{ "dbus", "D-Bus", NULL, true },
	{ "gtk", "QEMU's window", MENU, true },
	{ "cocoa", "QEMU's window", MENU, true },
	{ "spice-app", "the SPICE viewer",
		"the viewer gets a QMP monitor, which can resume the guest; use '-display none "
		"-spice'",
		true },
	{ NULL, "QEMU's window",
		"vmlatch does not know this display: its window may resume the guest; use "
		"'-display none' instead",
		true },
};

/* None is given: whatever QEMU was built with. A VNC server, if that is nothing. */
static const struct display no_display = { NULL, "QEMU's window or VNC server",
	"QEMU opens a window whose menu can resume the guest, or a VNC server; use '-display "
	"none', "
	"or '-vnc' with '-monitor none'",
	true };

static const struct display nothing_shown = { NULL, NULL, NULL, false };

static const struct display *display_find(const struct scan *scan)
{
	const struct display *display = displays;

	/* beside a remote one no window opens by itself */
	if (!scan->display || strcmp(scan->display, "default") == 0)
		return scan->spice || scan->groups[SCAN_VNC].n ? &nothing_shown : &no_display;
	while (display->type && strcmp(display->type, scan->display) != 0)
		display++;
	return display;
}

static int vnc_add(struct scan *scan, const char *arg, const char *server)
{
	json_t *options = NULL;

	if (keyval_parse(server, "vnc", &options) < 0)
		return -ENOMEM;
	return scan_group_add(scan, SCAN_VNC, options, arg);
}

int scan_add_vnc(struct scan *scan, json_t *options, const char *arg)
{
	return scan_group_add(scan, SCAN_VNC, json_incref(options), arg);
}

int on_vnc(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)option;
	return vnc_add(scan, arg, arg);
}

/*
 * It shows the guest's displays only, and no console of QEMU's. The section of a
 * config file does less: a window opens beside it.
 */
int on_spice(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)option, (void)arg;
	scan->spice = true;
	return 0;
}

static int display_set(struct scan *scan, const char *type, const char *arg)
{
	_cleanup_(freep) char *copy = strdup(type);
	_cleanup_(freep) char *origin = scan_origin(scan, arg);

	if (!copy || !origin)
		return -ENOMEM;
	free(scan->display);
	free(scan->display_origin);
	scan->display = take_ptr(copy);
	scan->display_origin = take_ptr(origin);
	return 0;
}

/* -sdl, -curses, -nographic: @extra is the type. */
int on_display_short(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)arg;
	scan->nographic |= strcmp(option->name, "nographic") == 0;
	return display_set(scan, option->extra, NULL);
}

int on_display(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;
	struct error why = { 0 };
	const char *type;
	int code;

	(void)option;
	if (str_starts(arg, "vnc="))
		return vnc_add(scan, arg, arg + strlen("vnc="));
	code = *arg == '{' ? keyval_parse_json(arg, &options, &why)
			   : keyval_parse(arg, "type", &options);
	if (code == -EINVAL)
		code = scan_not_understood(scan, arg, why.text);
	if (code < 0)
		return code;
	if (!options)
		return display_set(scan, "?", arg);
	type = keyval_text(options, "type");
	return display_set(scan, type ? type : "default", arg);
}

const char *scan_console_viewer(const struct scan *scan)
{
	const struct scan_items *servers = &scan->groups[SCAN_VNC];
	size_t i;

	for (i = 0; i < servers->n; i++) {
		if (!str_equal(keyval_text(servers->items[i].options, "vnc"), "none"))
			return "VNC";
	}
	return display_find(scan)->viewer;
}

const char *scan_window_menu(const struct scan *scan)
{
	return display_find(scan)->menu;
}

/*
 * -audiodev, -audio: SDL's sound library looks for a session bus, those of sound
 * servers start one that does not run. The defaults of a sound device (QEMU 7.2)
 * come to ALSA before SDL. The argument is QEMU's to judge.
 */
int on_sound(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	static const char *const drivers[] = { "sdl", "pa", "pipewire", "jack" };
	_cleanup_(keyval_freep) json_t *options = NULL;
	struct error why = { 0 };
	size_t i;
	int code;

	(void)option;
	code = *arg == '{' ? keyval_parse_json(arg, &options, &why)
			   : keyval_parse(arg, "driver", &options);
	if (code == -ENOMEM)
		return code;
	for (i = 0; i < sizeof(drivers) / sizeof(*drivers); i++) {
		if (str_equal(keyval_text(options, "driver"), drivers[i]))
			scan->line->starts_helpers = true;
	}
	return 0;
}

void scan_finish_display(struct scan *scan)
{
	scan->line->starts_helpers |= display_find(scan)->starts_helpers;
}
