/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/* Our own QMP server: the commands that verbs and automation use, and the events. */

/* @fd listening; taken with success. 0 or -errno with a sentence. */
int control_start(struct vm *vm, int fd, struct error *err);

/* The state has changed: who waits for it may be answered. */
void control_settle(struct vm *vm);

/* Pass an event on, numbered, and remember it. */
void control_emit(struct vm *vm, const char *event, size_t len);

/* VMLATCH_LOCK_STATE, VMLATCH_RESOURCE. */
void control_emit_lock_state(struct vm *vm);
void control_emit_resource(struct vm *vm, const char *what, const struct resource *resource);
