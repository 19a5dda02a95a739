/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * SIGSTOP to QEMU: the only way to stop a guest that runs without its locks.
 * QMP's 'stop' would flush old caches into a disk that is somebody else's now.
 */
void freeze_qemu(struct vm *vm);

/* SIGCONT, and ask QEMU how it is: it may have stopped by itself before the freeze. */
void freeze_thaw(struct vm *vm);
