/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "base/error.h"

/*
 * The lock file of a VM's directory: a whole-file open file description lock.
 * It says that a supervisor lives; its text says which (such locks tell no pid).
 */

/* Open, or make. The descriptor, or -errno with a sentence. */
int rundir_lock_open(int dir, struct error *err);

/* 0, 1: somebody else has it, or -errno with a sentence. */
int rundir_lock_take(int fd, struct error *err);

/* Write our pid into it. 0 or -errno with a sentence. */
int rundir_lock_sign(int fd, struct error *err);

/* Who signed last; 0: nobody, or it cannot be read. */
pid_t rundir_lock_pid(int dir);

/* Does somebody hold it? Takes nothing. */
bool rundir_lock_is_held(int dir);
