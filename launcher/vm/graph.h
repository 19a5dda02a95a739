/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * The truth check: QEMU's own block graph, its descriptors and its memory against
 * what is locked. What is open and not locked is locked and planted now.
 *
 * @fn	called once: 0; LOCK_BUSY or -EBUSY with a sentence (something is open
 *	that cannot be locked: the guest must not run); any other -errno: QEMU
 *	could not be looked at
 */
typedef void (*graph_fn)(struct vm *vm, int result, const char *words);
void graph_check(struct vm *vm, graph_fn fn);
