/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/* Options that say one thing about the VM, for a member of struct command_line. */

int on_flag(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	(void)arg;
	*(bool *)((char *)scan->line + option->field) = true;
	return 0;
}

static int text_replace(char **text, const char *with)
{
	char *copy = strdup(with);

	if (!copy)
		return -ENOMEM;
	free(*text);
	*text = copy;
	return 0;
}

int on_text(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	return text_replace((char **)((char *)scan->line + option->field), arg);
}

int scan_add_name(struct scan *scan, json_t *options, const char *arg)
{
	const char *guest = keyval_text(options, "guest");

	(void)arg;
	return guest ? text_replace(&scan->line->name, guest) : 0;
}

int on_name(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;

	(void)option;
	if (keyval_parse(arg, "guest", &options) < 0)
		return -ENOMEM;
	return scan_add_name(scan, options, arg);
}

int scan_add_action(struct scan *scan, json_t *options, const char *arg)
{
	const char *shutdown = keyval_text(options, "shutdown");

	(void)arg;
	if (shutdown)
		scan->line->shutdown_pauses = str_equal(shutdown, "pause");
	return 0;
}

int on_action(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;

	(void)option;
	if (keyval_parse(arg, NULL, &options) < 0)
		return -ENOMEM;
	return scan_add_action(scan, options, arg);
}

/* From QEMU 8.1 on: what were -chroot and -runas. QEMU does not heed it in a config file. */
int on_run_with(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;
	const char *root, *user;
	int ret = 0;

	(void)option;
	if (keyval_parse(arg, NULL, &options) < 0)
		return -ENOMEM;
	root = keyval_text(options, "chroot");
	user = keyval_text(options, "user");
	if (root)
		ret = text_replace(&scan->line->chroot_dir, root);
	if (ret == 0 && user)
		ret = text_replace(&scan->line->runas, user);
	return ret;
}
