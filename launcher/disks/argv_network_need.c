/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/* What QEMU's process must be allowed to do for -netdev, -nic and -net. */

/* What gives it a descriptor that somebody else has opened. */
static bool is_open_already(const json_t *options)
{
	return json_object_get(options, "fd") || json_object_get(options, "fds");
}

/* qemu-bridge-helper, or another program that must be root's. */
static bool starts_helper(const json_t *options, const char *type)
{
	if (is_open_already(options))
		return false;
	return str_equal(type, "bridge") ||
	       (str_equal(type, "tap") &&
		       (json_object_get(options, "helper") || json_object_get(options, "br")));
}

static bool makes_interface(const json_t *options, const char *type)
{
	return str_equal(type, "tap") && !is_open_already(options) && !starts_helper(options, type);
}

static bool starts_smbd(const json_t *options, const char *type)
{
	return str_equal(type, "user") && json_object_get(options, "smb");
}

/* The default is a script in /etc. */
static bool starts_script(const json_t *options, const char *type)
{
	const char *script = keyval_text(options, "script");

	return makes_interface(options, type) &&
	       (!script || (*script && strcmp(script, "no") != 0));
}

int scan_add_program(struct scan *scan, const char *arg)
{
	_cleanup_(freep) char *origin = scan_origin(scan, arg);

	if (!origin)
		return -ENOMEM;
	return strv_has(&scan->line->programs, origin) ? 0
						       : strv_add(&scan->line->programs, origin);
}

int scan_add_network_need(struct scan *scan, json_t *options, const char *arg)
{
	const char *type = keyval_text(options, "type");
	char **who = NULL;

	if ((starts_helper(options, type) || starts_script(options, type) ||
		    starts_smbd(options, type) || str_equal(type, "passt")) &&
		scan_add_program(scan, arg) < 0)
		return -ENOMEM;
	if (starts_helper(options, type))
		who = &scan->line->helper_origin;
	else if (makes_interface(options, type))
		who = &scan->line->interface_origin;
	else if (starts_smbd(options, type))
		who = &scan->line->smb_origin;
	if (!who || *who)
		return 0;
	*who = scan_origin(scan, arg);
	return *who ? 0 : -ENOMEM;
}
