/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <errno.h>
#include <sysexits.h>

#include "base/error.h"

/* Our own, beside those of sysexits.h. */
#define EXIT_STATUS_NOT_RUNNING    3  /* 'status' */
#define EXIT_STATUS_UNKNOWN        4  /* 'status' */
#define EXIT_STATUS_LOCK_LOST      76 /* --on-lock-failure=poweroff ended the VM */
#define EXIT_STATUS_NOT_EXECUTABLE 126
#define EXIT_STATUS_NOT_FOUND      127

/*
 * The exit status for what a function returned.
 *
 * @code	negative: -errno; 0 or more is no failure and gives 0
 * @err		names the status, or leaves it to @code; may be NULL
 */
int exit_status(int code, const struct error *err);

/* The same, and say @err on stderr. For the last line of a verb. */
int exit_failure(int code, const struct error *err);

/* For an exec that has failed with @number, an errno. */
static inline int exit_status_of_exec(int number)
{
	return number == ENOENT ? EXIT_STATUS_NOT_FOUND : EXIT_STATUS_NOT_EXECUTABLE;
}
