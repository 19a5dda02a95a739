/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/prepare.h"

/*
 * Options and QEMU's arguments that cannot be together. What a config file says for
 * all VMs, and this one cannot have, is left out with a warning.
 *
 * Returns 0, or -errno with a sentence and status 64.
 */
int prepare_combination(struct preparation *p, const struct command_line *line, struct error *err);
