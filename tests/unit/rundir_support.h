/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <sys/types.h>

#include "launcher/vm/rundir.h"
#include "tests/unit/temporary.h"

/* A test's own runtime directory. */
extern struct temporary place;

int rundir_set_up(void **state);
int rundir_tear_down(void **state);

bool exists(const char *name); /* below it */
void open_rundir(struct rundir *rundir);

/* Open it anew and claim "web1"; as rundir_claim(). */
int claim(struct rundir *rundir, struct error *err);

/*
 * A child that says by @ready that it is there, and lives until end_child() kills
 * it. It never asserts.
 */
pid_t start_child(int (*work)(int ready), int *ready);
void wait_ready(int ready);
void end_child(pid_t pid);

/* Work for a child. */
int claim_and_wait(int ready);
int sleep_only(int ready);

/* state.json of a VM "web1" whose QEMU is @pid. */
void leave_state(pid_t pid);
