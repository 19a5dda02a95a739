/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/* What QEMU's process must be allowed to do beyond networks (argv_network_need.c). */

static int note(const struct scan *scan, char **who, const char *arg)
{
	if (*who)
		return 0;
	*who = scan_origin(scan, arg);
	return *who ? 0 : -ENOMEM;
}

/* A device of the host's that writes into the guest's memory by itself: all of it is locked. */
static bool locks_memory(const char *driver)
{
	if (!driver || str_starts(driver, "vfio-user"))
		return false;
	return str_starts(driver, "vfio-") || str_starts(driver, "vhost-vdpa");
}

int scan_finish_needs(struct scan *scan)
{
	const struct scan_items *devices = &scan->groups[SCAN_DEVICE];
	char **who = &scan->line->locking_origin;
	size_t i;

	for (i = 0; i < devices->n && !*who; i++) {
		if (!locks_memory(keyval_text(devices->items[i].options, "driver")))
			continue;
		*who = strdup(devices->items[i].origin);
		if (!*who)
			return -ENOMEM;
	}
	return 0;
}

int scan_add_overcommit(struct scan *scan, json_t *options, const char *arg)
{
	const char *how = keyval_text(options, "mem-lock");
	bool locks = keyval_bool(options, "mem-lock", false) || str_equal(how, "on-fault");

	return locks ? note(scan, &scan->line->locking_origin, arg) : 0;
}

/* The guest's owners and modes are the host's. */
int scan_add_share(struct scan *scan, json_t *options, const char *arg)
{
	if (!str_equal(keyval_text(options, "security_model"), "passthrough"))
		return 0;
	return note(scan, &scan->line->owners_origin, arg);
}

int on_overcommit(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;

	(void)option;
	if (keyval_parse(arg, NULL, &options) < 0)
		return -ENOMEM;
	return scan_add_overcommit(scan, options, arg);
}

int on_share(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;

	(void)option;
	if (keyval_parse(arg, "fsdriver", &options) < 0)
		return -ENOMEM;
	return scan_add_share(scan, options, arg);
}
