/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"
#include "launcher/disks/qemu_config.h"

/*
 * Config files: what their sections say is what the options of the same names
 * say. Other groups than these have nothing that concerns us.
 */

static const struct section {
	const char *group;
	scan_options_fn *fn;
} sections[] = {
	{ "accel", scan_add_accel },
	{ "action", scan_add_action },
	{ "add-fd", scan_add_fd },
	{ "chardev", scan_add_chardev },
	{ "device", scan_add_device },
	{ "drive", scan_add_drive },
	{ "fsdev", scan_add_share },
	{ "global", scan_add_global },
	{ "machine", scan_add_machine },
	{ "mon", scan_add_mon },
	{ "name", scan_add_name },
	{ "net", scan_add_network },
	{ "netdev", scan_add_network },
	{ "nic", scan_add_network },
	{ "object", scan_add_object },
	{ "overcommit", scan_add_overcommit },
	{ "virtfs", scan_add_share },
	{ "vnc", scan_add_vnc },
};

struct config_reading {
	struct scan *scan;
	const char *name; /* of the file, where scan->option is not enough */
};

static int section_take(void *data, const char *group, json_t *options)
{
	const struct config_reading *reading = data;
	_cleanup_(str_finish) struct str arg = { 0 };
	const char *id = keyval_text(options, "id");
	size_t i;

	for (i = 0; i < sizeof(sections) / sizeof(*sections); i++) {
		if (strcmp(sections[i].group, group) != 0)
			continue;
		if (reading->name)
			str_printf(&arg, "%s ", reading->name);
		str_printf(&arg, id ? "[%s \"%s\"]" : "[%s]", group, id);
		return arg.failed ? -ENOMEM : sections[i].fn(reading->scan, options, arg.text);
	}
	return 0;
}

/* QEMU may read more in it than we. */
static int config_unknown(struct scan *scan, const char *shown, const char *why)
{
	if (scan_add_monitor(
		    scan, shown, "may open a monitor: give its settings as options instead") < 0)
		return -ENOMEM;
	return scan_not_understood(scan, shown, why);
}

/* @shown: the file's name for people, if scan->option does not say it */
static int config_scan(struct scan *scan, const char *name, const char *shown)
{
	struct config_reading reading = { scan, shown };
	_cleanup_(str_finish) struct str text = { 0 };
	struct error why = { 0 };
	int code;

	if (!scan->read_config)
		return config_unknown(scan, shown, "a config file, which was not read");
	code = scan->read_config(name, &text, &why);
	if (code == COMMAND_LINE_NO_CONFIG)
		return *why.text ? config_unknown(scan, shown, why.text) : 0;
	if (code == 0 && text.len)
		code = qemu_config_parse(text.text, text.len, section_take, &reading, &why);
	if (code == -EINVAL)
		return config_unknown(scan, shown, why.text);
	if (code < 0 && !*scan->err->text)
		error_set(scan->err, code, "%s: %s", name, *why.text ? why.text : "out of memory");
	return code;
}

int on_config(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)option;
	return config_scan(scan, arg, arg);
}

int scan_default_config(struct scan *scan)
{
	scan->option = QEMU_DEFAULT_CONFIG;
	if (!scan->read_config)
		return 0;
	return config_scan(scan, QEMU_DEFAULT_CONFIG, NULL);
}
