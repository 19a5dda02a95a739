/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * Signals behave as if QEMU had been started directly. They are blocked before
 * the fork (QEMU starts with the mask that we found) and read from a signalfd:
 * the sender matters, because the terminal's Ctrl-C has reached QEMU already.
 * What was ignored when we started stays ignored (nohup), but SIGCHLD.
 */

/*
 * Block them, before anything is made that would be left behind: what comes from
 * now on waits for the signalfd, and ends the start in order.
 *
 * @ret	the mask that was found, for QEMU
 * @ret_ignored	was SIGCHLD ignored? For QEMU too
 *
 * Returns 0 or -errno with a sentence.
 */
int signals_block(sigset_t *ret, bool *ret_ignored, struct error *err);

/* Of a supervisor with its own signals: what others could end or stop it by does nothing. */
void signals_ignore(void);

/* Read them in the loop. 0 or -errno with a sentence. */
int signals_start(struct vm *vm, struct error *err);
