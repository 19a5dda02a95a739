/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "launcher/vm/qemu_output.h"
#include "launcher/vm/spawn.h"
#include "sandbox/exec_secret.h"

/*
 * The exec that makes QEMU of the child: once a strict filter is loaded it is the only
 * one that is left, fixed to the byte and to its place in memory.
 */
struct qemu_exec {
	struct strv argv;
	struct exec_secret secret; /* but without a strict filter it is none */
	struct qemu_output output;
};

/* Where it will print; first of all, with the rights that we have. */
void qemu_exec_open_output(struct qemu_exec *exec, const struct spawn_plan *plan);

/*
 * Arguments and environment are settled with this.
 *
 * @config_fd	with the monitor's configuration, as QEMU inherits it
 *
 * Returns 0 or -errno.
 */
int qemu_exec_prepare(struct qemu_exec *exec, const struct spawn_plan *plan, int config_fd);

/*
 * Load the filter of system calls that is planned; its listener, if there can be one,
 * goes to the supervisor over @socket (SPAWN_SANDBOXED). 0 or -errno with a sentence.
 */
int qemu_exec_restrict(
	const struct qemu_exec *exec, const struct spawn_plan *plan, int socket, struct error *err);

/* Returns only if it fails: -errno with a sentence and an exit status. */
int qemu_exec_run(const struct qemu_exec *exec, struct error *err);
