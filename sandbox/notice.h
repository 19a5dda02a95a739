/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"

/* What a filter's listener (load.h) has told: who waits in which call. */
struct sandbox_notice {
	uint64_t id;
	pid_t thread;
	uint32_t arch; /* AUDIT_ARCH_... */
	int number;
};

/* Nobody waits (any more): he was killed, or interrupted by a signal. */
enum { SANDBOX_NOBODY = 1, SANDBOX_ALL_GONE };

/*
 * The next one; never blocks.
 *
 * Returns 0; SANDBOX_NOBODY; SANDBOX_ALL_GONE: no process has the filter any more; or -errno.
 */
int sandbox_notice_take(int listener, struct sandbox_notice *ret);

/* Does he still wait? Then his thread's number, and his process's, are his own. */
bool sandbox_notice_is_valid(int listener, const struct sandbox_notice *notice);

/* Let the call fail with EPERM. 0 or -errno. */
int sandbox_notice_refuse(int listener, const struct sandbox_notice *notice);

/* "kexec_load", or "a call of another ABI (number 20)". Returns @text. */
#define SANDBOX_CALL_SIZE 64
const char *sandbox_notice_call(
	const struct sandbox_notice *notice, char text[static SANDBOX_CALL_SIZE]);
