/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/goal.h"
#include "launcher/vm/vm.h"

/* Clients that wait for the VM to get somewhere. */

/*
 * Answer @request when @goal is reached, or cannot be.
 *
 * @then	called when it is reached, and answers; NULL: the answer is {}
 */
void control_wait(struct vm *vm, struct qmp_request *request, enum goal goal,
	void (*then)(struct vm *vm, struct qmp_request *request));

/* The answer of vmlatch-inquire; @state is the lock driver's text. */
void control_reply_inquire(struct vm *vm, struct qmp_request *request, const char *state);
