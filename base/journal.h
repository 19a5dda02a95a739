/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* systemd's journal at the other end of stdout and stderr: a connection to a socket of its. */

/* Is this descriptor the connection that $JOURNAL_STREAM names (systemd.exec(5))? */
bool journal_is_stream(int fd);

/* Does it go to the same journal as @stream, by a connection that may be another? */
bool journal_is_same(int fd, int stream);

/*
 * Another connection to the journal of @stream, for lines that are taken as they are
 * (a "<0>" in front is text) and have the priority "info". Close-on-exec.
 *
 * @identifier	what stands in front of the lines (SYSLOG_IDENTIFIER=)
 * @unit	whose lines they are, if the process has ended before the journal looks for
 *		it; the journal believes it of root alone. NULL: not known
 *
 * Returns the descriptor or -errno.
 */
int journal_open_plain(int stream, const char *identifier, const char *unit);

/*
 * The unit of this process, as the journal finds it by the control group.
 *
 * @groups	the text of /proc/self/cgroup
 *
 * Returns the name, the caller's; NULL: it is in none, or no memory. (pure)
 */
char *journal_unit_of(const char *groups);
