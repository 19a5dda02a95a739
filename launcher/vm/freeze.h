/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * Stop QEMU from outside, by SIGSTOP and ptrace (tracer.h): the only way to stop
 * a guest that runs without its locks. QMP's 'stop' would flush old caches into a
 * disk that is somebody else's now. So it is right, too, that it does not outlive
 * its supervisor. Where it cannot be traced, SIGSTOP alone has to do, sent again
 * whenever SIGCONT has undone it (which is looked for 50 times a second where QEMU is
 * no child of ours, so that nobody tells), with another process to kill QEMU after us
 * (deadman.h); a warning says so.
 *
 * A signal that is to end QEMU waits as long as that is frozen. In place it goes to
 * QEMU and not to us, so it is looked for, and QEMU is killed.
 */
void freeze_qemu(struct vm *vm);

/* SIGCHLD: a thread of a frozen QEMU has stopped, goes on, or has been killed. */
void freeze_look(struct vm *vm);

/* Let it go on, and ask QEMU how it is: it may have stopped by itself before the freeze. */
void freeze_thaw(struct vm *vm);
