/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/saved_state.h"

/* What writing and reading the text have in common. */
#define SAVED_VERSION    "1"
#define SAVED_PLACE_MARK "+"

extern const char *const saved_hold_names[SAVED_N_HOLDS];
