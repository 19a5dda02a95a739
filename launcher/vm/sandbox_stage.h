/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "sandbox/exec_secret.h"

enum option_sandbox { SANDBOX_AUTO, SANDBOX_DEFAULT, SANDBOX_STRICT, SANDBOX_OFF };

/* QEMU's filter of system calls, as it was decided on (prepare_sandbox.h). */
struct sandbox_plan {
	enum option_sandbox mode; /* never AUTO */
	bool early;               /* before rights are dropped: there will be no no_new_privs */
	const char *qemus_own;    /* what QEMU gets for its own -sandbox; NULL: nothing of ours */
	const char *why;          /* it is off, and nobody has asked for that */
};

/*
 * In what becomes QEMU: load the filter.
 *
 * @secret	the exec that the strict one lets through
 * @listener	a descriptor of the caller's, for the supervisor; -1: there is none
 *
 * Returns 0 or -errno with a sentence.
 */
int sandbox_stage_load(const struct sandbox_plan *plan, const struct exec_secret *secret,
	int *listener, struct error *err);

/*
 * In the supervisor, before it has a second thread: its own filter. A kernel that
 * takes none is told to the user, and no reason not to start.
 */
void sandbox_load_supervisors(void);
