/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "launcher/prepare.h"

/* What 'check' says of QEMU's filter of system calls. */
void check_print_sandbox(const struct preparation *p);
json_t *check_sandbox_to_json(const struct preparation *p);
