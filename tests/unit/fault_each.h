/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "base/error.h"

/*
 * Make the first, the second, ... call of an attempt fail, until it makes fewer.
 * After each nothing may be left open; what is left allocated the sanitizer and
 * valgrind tell.
 *
 * @attempt	ends what it began; returns 0 (it could do without that call, and
 *		the result is as it should be) or an error with its sentence
 *
 * Without a fault it must return 0. Returns how many calls there were.
 */
unsigned fault_each(int (*attempt)(struct error *err));

/* jansson's allocations count too from now on. */
void fault_watch_jansson(void);

/* How many descriptors this process has. */
size_t fault_count_fds(void);
