/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/*
 * Does it ask for KVM? There are two lists of accelerators, and QEMU takes the first of one that
 * it can have: -accel, one in each, or -machine accel=FIRST:SECOND, of which the last counts, and
 * -enable-kvm is one. It takes no command line that has both (seen with 7.2).
 */

static void set_origin(struct scan_accel *list, char *origin)
{
	free(list->kvm_origin);
	list->kvm_origin = origin;
}

int scan_add_accel(struct scan *scan, json_t *options, const char *arg)
{
	struct scan_accel *list = &scan->accels;
	bool is_kvm = str_equal(keyval_text(options, "accel"), "kvm");
	char *origin;

	if (!is_kvm || list->kvm_origin) {
		list->others |= !is_kvm;
		return 0;
	}
	/* behind another it is hardly tried; a device of one's own is not what others may open */
	if (list->others || json_object_get(options, "device"))
		return 0;
	origin = scan_origin(scan, arg);
	set_origin(list, origin);
	return origin ? 0 : -ENOMEM;
}

int scan_add_machine_accel(struct scan *scan, const char *names, const char *arg)
{
	struct scan_accel *list = &scan->machine_accel;
	bool is_kvm = str_equal(names, "kvm") || str_starts(names, "kvm:");
	char *origin = is_kvm ? scan_origin(scan, arg) : NULL;

	set_origin(list, origin);
	list->others = strchr(names, ':') != NULL;
	return is_kvm && !origin ? -ENOMEM : 0;
}

int on_accel(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;

	(void)option;
	if (keyval_parse(arg, "accel", &options) < 0)
		return -ENOMEM;
	return scan_add_accel(scan, options, arg);
}

int on_enable_kvm(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)option, (void)arg;
	return scan_add_machine_accel(scan, "kvm", NULL);
}

void scan_finish_accel(struct scan *scan)
{
	struct scan_accel *list = scan->accels.kvm_origin ? &scan->accels : &scan->machine_accel;

	scan->line->kvm_origin = take_ptr(list->kvm_origin);
	scan->line->kvm_or_other = list->others;
}
