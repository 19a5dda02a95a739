/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "launcher/disks/argv.h"
#include "launcher/options.h"

/* Which process becomes QEMU, and whether its supervisor can watch it from where it is. */

/* Without our own /proc nobody can be watched, nor found by what state files say. */
int prepare_check_proc(struct error *err);

/* Do we become QEMU ourselves, or a child of ours? */
bool prepare_in_place(const struct options *options, const struct command_line *line);
