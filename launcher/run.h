/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/prepare.h"

/*
 * What could not be prepared: said on stderr, and to the service manager.
 *
 * Returns the exit status.
 */
int run_refuse(int code, const struct error *err);

/*
 * Run what was prepared, from the claim of its name on.
 *
 * @binary	QEMU's path
 *
 * Ends the process: as its supervisor with the exit status, or as QEMU.
 */
void run_prepared(struct preparation *preparation, const char *binary) __attribute__((noreturn));
