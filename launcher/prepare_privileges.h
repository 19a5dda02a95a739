/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/prepare.h"

/*
 * What QEMU may do: from the options, and from what QEMU's own arguments need.
 * Afterwards @p's credentials have its capabilities, so that images are opened
 * with no more than it will have. Before that nothing may be opened.
 *
 * Returns 0 or -errno with a sentence and its status (64; 77: asked for what we
 * do not have ourselves).
 */
int prepare_privileges(struct preparation *p, const struct command_line *line, struct error *err);
