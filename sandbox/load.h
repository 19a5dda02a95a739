/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "sandbox/exec_secret.h"
#include "sandbox/program.h"

/*
 * Load a filter into this process, which has one thread. It needs no_new_privs or
 * CAP_SYS_ADMIN.
 *
 * @secret	what the strict filter lets through; NULL: the program asks for none
 * @listener	where the calls that kill are told of (notice.h): a descriptor of the
 *		caller's, or -1 where there cannot be one (another filter above us has
 *		its own): the kernel itself kills then, without a word. Who reads it must
 *		kill the process; while nobody does the call waits, and once the
 *		descriptor is closed it is ENOSYS. NULL: the kernel kills, and writes
 *		into its log what it refuses
 *
 * Returns 0 or -errno with a sentence.
 */
int sandbox_load(const struct sandbox_program *program, const struct exec_secret *secret,
	int *listener, struct error *err);
