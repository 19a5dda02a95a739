/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/*
 * Every way to make the guest run, or to write to its disks, that vmlatch does
 * not see. Each becomes a sentence that names the argument and says how to avoid
 * it. What counts is whether somebody reaches it: a monitor behind a character
 * device that nobody can write to is none.
 *
 * An argument opens a "port": a member of SCAN_MONITOR with "chardev" (the ID of
 * a -chardev) or PORT_DEVICE (one in the short form of -monitor), and PORT_USE.
 */
#define PORT_DEVICE "@device"
#define PORT_USE    "@use"

static const char use_monitor[] =
	"whoever has this monitor can resume the guest; use '-monitor none' and vmlatch's own "
	"commands and QMP socket instead";
static const char use_serial[] =
	"a monitor shares this port; leave out 'mon:', add '-monitor none'";
static const char use_debugger[] = "a debugger can resume the guest; leave it out";
static const char use_test[] = "a test driver can write to the disks; leave it out";
static const char use_remote_device[] =
	"the other end works with this VM's devices, also while it is paused; leave it out";
static const char use_mux[] = "C-a s on a shared port writes a snapshot or an overlay into the "
			      "disk beneath, C-a x ends QEMU; give each user its own port";

static int reason_add(struct scan *scan, const char *origin, const char *why)
{
	_cleanup_(freep) char *reason = NULL;

	if (!origin || asprintf(&reason, "%s: %s", origin, why) < 0)
		return -ENOMEM;
	return strv_add(&scan->line->monitors, reason);
}

int scan_add_monitor(struct scan *scan, const char *arg, const char *why)
{
	_cleanup_(freep) char *origin = scan_origin(scan, arg);

	return reason_add(scan, origin, why);
}

/* @arg: what is shown; @device: "chardev:ID", or a character device in short form. */
static int port_add(struct scan *scan, const char *use, const char *arg, const char *device)
{
	json_t *port = json_object();
	int ret = -ENOMEM;

	if (port && str_starts(device, "chardev:"))
		ret = keyval_set_text(port, "chardev", device + strlen("chardev:"));
	else if (port)
		ret = keyval_set_text(port, PORT_DEVICE, device);
	if (ret == 0)
		ret = keyval_set_text(port, PORT_USE, use);
	if (ret < 0) {
		json_decref(port);
		return ret;
	}
	return scan_group_add(scan, SCAN_MONITOR, port, arg);
}

/* -monitor, -qmp, -qmp-pretty. QEMU compares four letters of "none". */
int on_monitor(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	scan->no_default_monitor = true;
	if (strcmp(option->name, "monitor") == 0 && str_starts(arg, "none"))
		return 0;
	return port_add(scan, use_monitor, arg, arg);
}

/* A [mon] section leaves QEMU its default monitor, and so comes without on_mon(). */
int scan_add_mon(struct scan *scan, json_t *options, const char *arg)
{
	if (keyval_set_text(options, PORT_USE, use_monitor) < 0)
		return -ENOMEM;
	return scan_group_add(scan, SCAN_MONITOR, json_incref(options), arg);
}

/* -mon [chardev=]ID,mode=MODE */
int on_mon(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;

	(void)option;
	scan->no_default_monitor = true;
	if (keyval_parse(arg, "chardev", &options) < 0)
		return -ENOMEM;
	return scan_add_mon(scan, options, arg);
}

int on_serial(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	if (!str_starts(arg, "mon:"))
		return 0;
	if (option->extra)
		scan->no_default_monitor = true;
	return scan_add_shared_port(scan, arg, arg + strlen("mon:"));
}

int scan_add_shared_port(struct scan *scan, const char *arg, const char *device)
{
	return port_add(scan, use_serial, arg, device);
}

int on_debugger(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	if (str_equal(arg, "none"))
		return 0;
	if (strcmp(option->name, "qtest") == 0)
		return port_add(scan, use_test, arg, arg);
	return port_add(scan, use_debugger, arg, arg ? arg : "tcp::1234");
}

static enum reach port_reach(const struct scan *scan, const json_t *port)
{
	const char *device = keyval_text(port, PORT_DEVICE);

	if (device)
		return scan_device_reach(device);
	return scan_chardev_reach(scan, scan_find_chardev(scan, keyval_text(port, "chardev")));
}

static int reach_judge(
	struct scan *scan, enum reach reach, const struct scan_item *item, const char *why)
{
	if (reach == REACH_SOMEBODY || (reach == REACH_VIEWER && scan_console_viewer(scan)))
		return reason_add(scan, item->origin, why);
	return 0;
}

/* Seen in QEMU's sources only: its 'stop' reaches none of Xen's vCPUs. */
int on_xen(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)option;
	return scan_add_monitor(scan, arg,
		"Xen runs this guest: QEMU cannot keep it stopped; use another '-accel'");
}

/* Of an object through which somebody works with this VM's devices. NULL: of another. */
static const char *object_use(const json_t *object)
{
	static const struct {
		const char *type, *use;
	} types[] = {
		{ "qtest", use_test },
		{ "x-remote-object", use_remote_device },
		{ "x-vfio-user-server", use_remote_device },
	};
	size_t i;

	for (i = 0; i < sizeof(types) / sizeof(*types); i++) {
		if (str_equal(keyval_text(object, "qom-type"), types[i].type))
			return types[i].use;
	}
	return NULL;
}

static const char *port_use(const json_t *port)
{
	return keyval_text(port, PORT_USE);
}

static int ports_finish(
	struct scan *scan, enum scan_group group, const char *(*use_of)(const json_t *port))
{
	const struct scan_items *ports = &scan->groups[group];
	const char *use;
	int ret = 0;
	size_t i;

	for (i = 0; ret == 0 && i < ports->n; i++) {
		const json_t *port = ports->items[i].options;

		use = use_of(port);
		if (use)
			ret = reach_judge(scan, port_reach(scan, port), &ports->items[i], use);
	}
	return ret;
}

static int chardevs_finish(struct scan *scan)
{
	const struct scan_items *chardevs = &scan->groups[SCAN_CHARDEV];
	int ret = 0;
	size_t i;

	for (i = 0; ret == 0 && i < chardevs->n; i++) {
		const json_t *options = chardevs->items[i].options;

		if (scan_chardev_is_shared(options))
			ret = reach_judge(scan, scan_chardev_reach(scan, options),
				&chardevs->items[i], use_mux);
	}
	return ret;
}

static int default_monitor_finish(struct scan *scan)
{
	const char *viewer = scan_console_viewer(scan);

	if (scan->no_default_monitor || scan->line->nodefaults)
		return 0;
	if (scan->nographic)
		return reason_add(scan, "-nographic",
			"puts QEMU's monitor on the terminal; add '-monitor none'");
	return viewer ? reason_add(scan, viewer, "shows QEMU's monitor; add '-monitor none'") : 0;
}

int scan_finish_monitors(struct scan *scan)
{
	const char *menu = scan_window_menu(scan);
	int ret = 0;

	if (menu)
		ret = reason_add(
			scan, scan->display_origin ? scan->display_origin : "no -display", menu);
	if (ret == 0)
		ret = ports_finish(scan, SCAN_MONITOR, port_use);
	if (ret == 0)
		ret = ports_finish(scan, SCAN_OBJECT, object_use);
	if (ret == 0)
		ret = chardevs_finish(scan);
	return ret < 0 ? ret : default_monitor_finish(scan);
}
