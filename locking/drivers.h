/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/lock_driver.h"

/* The drivers that are built in; users find them by name (lock_manager.h). */
extern const struct lock_driver lock_driver_nop;
extern const struct lock_driver lock_driver_file;
