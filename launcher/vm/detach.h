/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

/*
 * The supervisor of a VM that is run in place: a process that the started one,
 * which becomes QEMU, leaves behind, and that nobody has to wait for.
 */

/*
 * Fork twice.
 *
 * Returns 0 in the new process: in a session of its own, its parent is init (or a
 * subreaper). DETACH_STARTED in the process that called; -errno with a sentence
 * there too, and then there is no new one.
 */
enum { DETACH_STARTED = 1 };
int detach_fork(struct error *err);

/*
 * In the new process: let go of what is the user's. Every descriptor that would
 * outlive an exec is his and is closed, but standard error, which the last words
 * about a start need; the working directory is "/"; and ps shows it as
 * "vmlatch: @name". main()'s arguments are gone then.
 */
void detach_let_go(const char *name);

/* Standard error goes to @fd from now on, which is closed; -1: nowhere. */
void detach_let_go_of_errors(int fd);
