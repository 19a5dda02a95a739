/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/prepare.h"

/*
 * Run what was prepared, from the claim of its name on.
 *
 * @binary	QEMU's path
 *
 * Ends the process: as its supervisor with the exit status, or as QEMU.
 */
void run_prepared(struct preparation *preparation, const char *binary) __attribute__((noreturn));
