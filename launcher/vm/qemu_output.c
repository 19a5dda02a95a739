/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/qemu_output.h"

#include <fcntl.h>
#include <stddef.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/journal.h"
#include "base/log.h"

#define GROUPS_MAX (64 * 1024)

/* The one that the variable names. -1: neither. */
static int find_stream(void)
{
	if (journal_is_stream(STDERR_FILENO))
		return STDERR_FILENO;
	return journal_is_stream(STDOUT_FILENO) ? STDOUT_FILENO : -1;
}

/* NULL: not known, and the journal finds it as long as QEMU lives. */
static char *find_unit(void)
{
	_cleanup_(freep) char *groups = NULL;

	if (file_read_at(AT_FDCWD, "/proc/self/cgroup", 0, GROUPS_MAX, &groups, NULL) < 0)
		return NULL;
	return journal_unit_of(groups);
}

void qemu_output_open(struct qemu_output *output)
{
	_cleanup_(freep) char *unit = NULL;
	int stream = find_stream(), fd;

	*output = (struct qemu_output){ .stream = -1 };
	if (stream < 0)
		return;
	unit = find_unit();
	/* what systemd itself calls us, if it was not told otherwise */
	output->stream = journal_open_plain(stream, "vmlatch", unit);
	if (output->stream < 0) {
		log_debug("QEMU prints into vmlatch's own stream: %s", strerror(-output->stream));
		return;
	}
	/* both in one, so that their order stays */
	for (fd = STDOUT_FILENO; fd <= STDERR_FILENO; fd++)
		output->is_journal[fd] = journal_is_same(fd, stream);
}

void qemu_output_place(const struct qemu_output *output)
{
	int fd;

	for (fd = STDOUT_FILENO; output->stream >= 0 && fd <= STDERR_FILENO; fd++) {
		if (output->is_journal[fd])
			dup2(output->stream, fd);
	}
}
