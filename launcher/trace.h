/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/str.h"

/*
 * What a vmlatch leaves for the next one in the same process. Behind a name of
 * QEMU there may be a script, or another copy of vmlatch, that leads back to us;
 * without a memory the two would call each other for ever, and a VM would be
 * refused for the locks that it holds itself.
 *
 * It is a memfd that the process keeps over its execs, found by its name. QEMU's
 * own monitor configuration is one (it has comments): who has that among his arguments
 * has been handed on a VM that is locked. For a call that starts no VM there is one that
 * is nothing else. A line "# vmlatch PID START" says whose it is: helpers that QEMU starts
 * inherit it too, and are not meant. But a script may go on in a process of its own, so
 * scripts are passed over by all who inherit.
 */
#define TRACE_MONITOR "vmlatch-monitor" /* QEMU has its locks */
#define TRACE_ONLY    "vmlatch-trace"

struct trace {
	int fd; /* -1: none yet */
	bool locked;
	struct strv tried; /* programs that were executed in this process */
};
#define TRACE_INIT       \
	{                \
		.fd = -1 \
	}
void trace_finish(struct trace *trace); /* closes */

/* What is there of this very process. 0 or -errno with a sentence. */
int trace_find(char **argv, struct trace *trace, struct error *err);

/* Note that @binary will be executed, in what is there or in a new one. 0 or -errno with a
 * sentence. */
int trace_add(struct trace *trace, const char *binary, struct error *err);

/* The lines for a new one. */
int trace_text(const char *binary, struct str *out);

/*
 * Is there a process that has the monitor configuration of this one among its
 * arguments, as QEMU has and a script that will start it? Helpers, which inherit
 * no more than the descriptor, are not meant. True, too, if that cannot be told.
 */
bool trace_is_used(pid_t pid, uint64_t start_time);

/* SIGKILL all of these, until there is none left; but nobody of whom it cannot be told. */
void trace_kill(pid_t pid, uint64_t start_time);
