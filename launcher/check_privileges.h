/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/prepare.h"

/* What QEMU would be allowed to do: lines of 'check', and what they are in JSON (NULL: no memory).
 */
void check_print_privileges(const struct preparation *preparation);
json_t *check_privileges_to_json(const struct preparation *preparation);
