/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/*
 * What lock drivers that are loaded may call (lock_driver.h); no other symbol of
 * the program's is to be seen. The headers that use it are installed.
 */
#define _public_ __attribute__((visibility("default")))
