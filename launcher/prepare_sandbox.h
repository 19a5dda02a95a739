/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/prepare.h"

/*
 * Which filter of system calls QEMU gets, and why.
 *
 * Returns 0, or -EINVAL with a sentence and status 64: what was asked for cannot be.
 */
int prepare_sandbox(struct preparation *p, const struct command_line *line, struct error *err);

/* With QEMU's path: can it be given a -sandbox of its own? */
void prepare_sandbox_of_qemu(struct preparation *p, const char *binary);

/* "default", "strict", "off" */
const char *prepare_sandbox_name(const struct preparation *p);
