/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * --preconfig: QEMU waits for its user before there is a machine, and takes block devices from
 * him ('blockdev-add'). No event tells when he has let it go on ('x-exit-preconfig'): it is
 * asked. What it has open by then is compared before the guest runs.
 */

/* The guest waits there. */
void preconfig_await(struct vm *vm);

/* The guest runs, and nobody has waited for us: compared all the same. */
void preconfig_passed(struct vm *vm);
