/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"

/*
 * QMP is not quite JSON. What jansson refuses and QMP peers do say:
 *
 *	'single quoted'		clients may; becomes "double quoted"
 *	\'			an escape that only QMP has; becomes '
 *	18446744073709551615	QEMU has u64, jansson's integers end at 2^63 - 1:
 *				becomes a real (18446744073709551615e0), which is
 *				exact to 53 bits only. Integers that fit stay as
 *				they are
 *	inf, -inf, nan, -nan	QEMU prints reals with printf; become null
 *	line ends		between tokens become blanks, so that a value can
 *				be put into a message of one line
 */

/*
 * @bytes, @len	a message or a value
 * @out		appended to; out->failed tells that memory ran out
 *
 * All other bytes stay as they are, wrong ones too: it is jansson that judges.
 */
void dialect_to_json(const char *bytes, size_t len, struct str *out);

/* Whether there is anything to do, single quotes apart from big numbers. */
bool dialect_has_quotes(const char *bytes, size_t len);
