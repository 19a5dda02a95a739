/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * When QEMU is dead its last write may still be on its way: with io_uring the
 * kernel finishes it after the process has gone, and so long QEMU's own image
 * lock stays. So our locks stay until QEMU's "I write" and "I resize" bytes are
 * free on every writable image, or somebody else's process shows them as its own.
 *
 * There is no deadline, but a sentence in the log and in 'status' (held_because).
 *
 * @done	called once, at once if there is nothing to wait for
 */
void last_io_wait(struct vm *vm, void (*done)(struct vm *vm));
