/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/control_pass.h"

#include <stdlib.h>

#include "launcher/vm/monitor.h"

#define FROZEN "QEMU is frozen: its disks are not ours"

/* QEMU's answer may still come, after a thaw; then nobody waits for it. */
struct passed {
	struct vm *vm;
	struct qmp_request *request; /* NULL: answered */
	struct passed *next;
};

static void forget(struct passed *passed)
{
	struct passed **at = &passed->vm->passed;

	while (*at != passed)
		at = &(*at)->next;
	*at = passed->next;
	free(passed);
}

static void on_answer(void *data, const struct qmp_reply *reply)
{
	struct passed *passed = data;

	if (passed->request && reply->result == 0)
		qmp_request_reply(passed->request, json_incref(reply->value));
	else if (passed->request)
		qmp_request_fail(passed->request, reply->class, "%s", reply->words);
	forget(passed);
}

void control_pass(struct vm *vm, struct qmp_request *request)
{
	struct passed *passed = vm->state.frozen ? NULL : calloc(1, sizeof(*passed));

	if (!passed) {
		qmp_request_fail(request, NULL, "%s", vm->state.frozen ? FROZEN : "out of memory");
		return;
	}
	*passed = (struct passed){ .vm = vm, .request = request, .next = vm->passed };
	vm->passed = passed;
	monitor_call(vm, &(struct monitor_call){ .command = qmp_request_command(request),
				 .fd = -1,
				 .fn = on_answer,
				 .data = passed });
}

void control_pass_give_up(struct vm *vm)
{
	struct passed *passed;
	struct qmp_request *request;

	for (passed = vm->passed; passed; passed = passed->next) {
		request = passed->request;
		passed->request = NULL; /* first: an answer may bring the next command */
		if (request)
			qmp_request_fail(request, NULL, FROZEN);
	}
}
