/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/* -add-fd fd=FD,set=SET: the descriptors that "/dev/fdset/SET" stands for. */

/* QEMU takes 0x10 and 010 too. */
static bool number_parse(const char *text, uint64_t *ret)
{
	char *end;

	errno = 0;
	*ret = text ? strtoull(text, &end, 0) : 0;
	return text && *text >= '0' && *text <= '9' && !*end && errno == 0;
}

int scan_add_fd(struct scan *scan, json_t *options, const char *arg)
{
	struct command_line *line = scan->line;
	struct argv_fd *grown;
	uint64_t fd, set;

	if (!number_parse(keyval_text(options, "fd"), &fd) ||
		!number_parse(keyval_text(options, "set"), &set) || fd > INT_MAX)
		return scan_not_understood(scan, arg, "not of the form fd=FD,set=SET");
	grown = reallocarray(line->fds, line->n_fds + 1, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	line->fds = grown;
	line->fds[line->n_fds++] = (struct argv_fd){ .set = set, .fd = (int)fd };
	return 0;
}

int on_add_fd(struct scan *scan, const struct qemu_option *option, const char *arg)
{
	_cleanup_(keyval_freep) json_t *options = NULL;

	(void)option;
	if (keyval_parse(arg, NULL, &options) < 0)
		return -ENOMEM;
	return scan_add_fd(scan, options, arg);
}
