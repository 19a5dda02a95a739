/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/prepare.h"

/*
 * Print what a start would lock, and whether it is free: as text, or as JSON
 * with --json.
 *
 * Returns the exit status: 0 free, 75 busy (EX_TEMPFAIL), or what a look at a
 * disk failed with.
 */
int check_report(const struct preparation *preparation);
