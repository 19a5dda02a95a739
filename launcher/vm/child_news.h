/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/* What becomes QEMU tells on its way there (spawn.h). */

/* Listen to it and to its death. 0 or -errno with a sentence. */
int child_news_watch(struct vm *vm, struct error *err);

/* It is dead: what it said last may still lie in the socket. */
void child_news_hear_last(struct vm *vm);

/* It has nothing more to say, or nobody is there to hear it. */
void child_news_stop(struct vm *vm);
