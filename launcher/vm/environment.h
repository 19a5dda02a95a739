/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/* Is this "NAME=value" for vmlatch, or for a service's main process, and nothing of QEMU's? (pure)
 */
bool environment_is_ours(const char *entry);

/* Take what is ours out of this process's environment; QEMU gets the rest. */
void environment_clean(void);
