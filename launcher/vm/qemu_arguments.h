/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/str.h"

/* What QEMU's argv is put together from: the user's arguments, and ours. */
struct qemu_arguments {
	char **user;         /* [0] is what QEMU is called */
	bool stop;           /* -S: it waits for our word */
	const char *sandbox; /* for its own -sandbox; NULL: nothing of ours */
};

struct vm_plan;
struct qemu_arguments qemu_arguments_of(const struct vm_plan *plan);

/*
 * @config	path of the monitor's configuration
 *
 * Returns 0 or -ENOMEM.
 */
int qemu_arguments_join(
	const struct qemu_arguments *arguments, const char *config, struct strv *ret);
