/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* Where lines go: to stderr, which may be shared with who wants us to wait there for ever. */

/*
 * From now on no line waits for its reader: one that cannot be written at once is lost.
 * A pipe and a terminal are opened anew, since the flag (O_NONBLOCK) is of what is open,
 * and others have that too; without the right to do so they are asked before each line.
 */
void log_output_never_wait(void);

/* Back to stderr as it is (another one by now): what was opened is closed. */
void log_output_wait(void);

/* Returns whether the line is written; @errno is not kept. */
bool log_output_write(const char *line, size_t len);
