/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/*
 * Networks have one way to a monitor: guestfwd=tcp:ADDRESS:PORT-DEVICE, whose
 * DEVICE is a character device as -serial's is, and may be "mon:..." (seen with 7.2);
 * or it is a program, "cmd:...".
 */
#define FORWARD "guestfwd"

/* What a rule forwards to; NULL: none. QEMU cuts at the same three characters. */
static const char *forward_device(const char *rule)
{
	const char *at = strchr(rule, ':');

	if (at)
		at = strchr(at + 1, ':');
	if (at)
		at = strchr(at + 1, '-');
	return at ? at + 1 : NULL;
}

static bool forward_is_program(const char *rule)
{
	const char *device = forward_device(rule);

	return device && str_starts(device, "cmd:");
}

static int forward_add(struct scan *scan, const char *rule, const char *arg)
{
	const char *device = forward_device(rule);

	if (forward_is_program(rule))
		return scan_add_program(scan, arg);
	return device && str_starts(device, "mon:")
		       ? scan_add_shared_port(scan, arg, device + strlen("mon:"))
		       : 0;
}

/* It may be there more than once, and each counts: no keyval_parse(), which keeps the last. */
int scan_add_forwards(struct scan *scan, const char *arg)
{
	const char *at = arg;
	int ret = 0;

	while (ret == 0 && (at = strstr(at, FORWARD))) {
		at += strcspn(at, "=,");
		if (*at == '=')
			ret = forward_add(scan, at + 1, arg);
	}
	return ret;
}

/* {"0": {"str": RULE}, ...} */
static int forwards_add_json(struct scan *scan, json_t *rules, const char *arg)
{
	const char *key;
	json_t *rule;
	int ret = 0;

	json_object_foreach (rules, key, rule) {
		const char *text = keyval_text(rule, "str");

		if (ret == 0 && text)
			ret = forward_add(scan, text, arg);
	}
	return ret;
}

/* -netdev, -nic, -net */
int on_network(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL, *tree = NULL;
	struct error why = { 0 };
	int code;

	(void)option;
	if (*arg != '{') {
		code = keyval_parse(arg, "type", &options);
		if (code == 0)
			code = scan_add_network_need(scan, options, arg);
		return code < 0 ? code : scan_add_forwards(scan, arg);
	}
	code = keyval_parse_json(arg, &options, &why);
	if (code == 0)
		code = scan_add_network_need(scan, options, arg);
	if (code == 0)
		code = keyval_nest(options, &tree, &why);
	if (code == -EINVAL)
		return scan_add_monitor(scan, arg, "may open a monitor: it is not understood");
	return code < 0 ? code : forwards_add_json(scan, json_object_get(tree, FORWARD), arg);
}

/* Of a section's two settings of one name the first is not known here any more. */
int scan_add_network(struct scan *scan, json_t *options, const char *arg)
{
	const char *rule = keyval_text(options, FORWARD);
	int ret = scan_add_network_need(scan, options, arg);

	if (ret == 0 && rule && forward_is_program(rule))
		ret = scan_add_program(scan, arg);
	if (ret < 0 || !json_object_get(options, FORWARD))
		return ret;
	return scan_add_monitor(
		scan, arg, "its guestfwd may open a monitor; give it with -netdev instead");
}
