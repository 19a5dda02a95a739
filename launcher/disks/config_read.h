/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "base/str.h"

/*
 * Read a config file that is meant for QEMU, for command_line_parse().
 *
 * Only regular files and, as "/dev/fd/N", pipes: of those we read all there is,
 * as QEMU would, and put a file with the same bytes in their place, under the
 * same number, for QEMU to open.
 *
 * Returns 0; COMMAND_LINE_NO_CONFIG (no sentence: QEMU's default config is not
 * there); or -errno with a sentence: a pipe was read, and QEMU cannot have it.
 */
int config_read(const char *name, struct str *ret, struct error *err);
