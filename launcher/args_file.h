/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "launcher/config.h"

/*
 * vm/NAME.args of the config directory: a VM's QEMU and its arguments, for a
 * call that names the VM alone. One argument a line, without any quoting: blanks
 * around it are no part of it, those within it are. A line that is empty or
 * begins with # is passed over.
 */

/*
 * Pure.
 *
 * @ret	[0] is QEMU; as it was, if this fails
 *
 * Returns 0 or -errno with a sentence and status 78.
 */
int args_file_parse(const struct config_text *file, struct strv *ret, struct error *err);

/*
 * The file of this VM.
 *
 * @name	valid as a VM name
 *
 * Returns 0 or -errno with a sentence and its status (66: there is no such file).
 */
int args_file_read(const char *name, struct strv *ret, struct error *err);
