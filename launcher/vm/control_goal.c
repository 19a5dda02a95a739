/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/control_goal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "launcher/vm/control.h"

struct waiting {
	struct qmp_request *request;
	enum goal goal;
	unsigned tried;
	bool has_waited; /* for an acquire that others have asked for, not like him */
	void (*then)(struct vm *vm, struct qmp_request *request);
	struct waiting *next;
};

/* What kept the VM from getting there, in the words and the class of its last refusal. */
static void fail(struct vm *vm, const struct waiting *waiting, const char *why)
{
	const char *class = NULL;
	char now[64];

	if (waiting->goal == GOAL_RELEASED && vm->sup == SUP_RUNNING &&
		strcmp(vm->state.run_state, "suspended") == 0)
		why = "the guest sleeps (S3), and no 'stop' stops that: 'system_wakeup' comes "
		      "first";
	if (!why && waiting->goal == GOAL_RELEASED)
		why = vm->state.held_because;
	if (!why) {
		why = vm->refusal.text;
		if (vm->refusal_outcome == LOCK_BUSY)
			class = "VmlatchBusy";
		else if (vm->refusal_outcome == LOCK_STALE)
			class = "VmlatchStale";
	}
	if (!why[0]) {
		snprintf(now, sizeof(now), "something else came in between: it is %s now",
			supervisor_state_name(vm->sup));
		why = now;
	}
	qmp_request_fail(waiting->request, class, "%s", why);
}

/* What a user insists on is for this one acquire, not for others who wait for the same. */
static bool is_forced(const struct waiting *waiting)
{
	return waiting->goal == GOAL_HELD &&
	       json_is_true(
		       json_object_get(qmp_request_arguments(waiting->request), "force-stale"));
}

/*
 * What is under way and late serves who asks for the same. Who insists waits for it
 * once, and asks anew if it was refused; what somebody has insisted on serves nobody
 * who has not. True: he may go on.
 */
static bool judge_late(struct vm *vm, struct waiting *waiting, unsigned tried)
{
	if (vm->sup != SUP_UNDOING || is_forced(waiting) == vm->forced_now) {
		waiting->tried = tried;
		return true;
	}
	if (vm->forced_now)
		fail(vm, waiting,
			"a resume by force takes too long and will be undone: resume it when "
			"'vmlatch status' says that its locks are released");
	else if (waiting->has_waited)
		fail(vm, waiting, NULL);
	else
		return waiting->has_waited = true;
	return false;
}

/* True: it has been answered (or will be by its then()), and is done with. */
static bool advance(struct vm *vm, struct waiting *waiting)
{
	unsigned tried = waiting->tried;
	struct goal_step step = goal_next(waiting->goal, vm->sup, &tried);

	switch (step.verdict) {
	case GOAL_WAIT:
		return false;
	case GOAL_POST:
		if (vm->n_pending)
			return false; /* that may change the state: its turn comes behind it */
		if (!judge_late(vm, waiting, tried))
			return true;
		vm->force_stale = is_forced(waiting);
		vm_post(vm, step.event);
		return false;
	case GOAL_FAILED:
		fail(vm, waiting, step.why);
		return true;
	case GOAL_REACHED:
		break;
	}
	if (waiting->then)
		waiting->then(vm, waiting->request);
	else
		qmp_request_reply(waiting->request, NULL);
	return true;
}

/* The list is taken off first: an answer may bring somebody new. */
static void settle_once(struct vm *vm)
{
	struct waiting *list = vm->waiting, **end;

	vm->waiting = NULL;
	while (list) {
		struct waiting *waiting = list;

		list = waiting->next;
		waiting->next = NULL;
		if (advance(vm, waiting)) {
			free(waiting);
			continue;
		}
		for (end = &vm->waiting; *end; end = &(*end)->next)
			;
		*end = waiting;
	}
}

/* Whoever is looked at may post an event, and with it change the state: then all over again. */
void control_settle(struct vm *vm)
{
	if (vm->settling) {
		vm->settle_again = true;
		return;
	}
	vm->settling = true;
	do {
		vm->settle_again = false;
		settle_once(vm);
	} while (vm->settle_again);
	vm->settling = false;
}

void control_wait(struct vm *vm, struct qmp_request *request, enum goal goal,
	void (*then)(struct vm *vm, struct qmp_request *request))
{
	struct waiting *waiting = calloc(1, sizeof(*waiting)), **end;

	if (!waiting) {
		qmp_request_fail(request, NULL, "out of memory");
		return;
	}
	*waiting = (struct waiting){ .request = request, .goal = goal, .then = then };
	/* in the list before it is looked at: what it posts may already settle it */
	for (end = &vm->waiting; *end; end = &(*end)->next)
		;
	*end = waiting;
	control_settle(vm);
}

void control_reply_inquire(struct vm *vm, struct qmp_request *request, const char *state)
{
	qmp_request_reply(
		request, json_pack("{s:s, s:s, s:s, s:s}", "lock-state",
				 vm_lock_state_name(vm->state.lock_state), "run-state",
				 vm->state.run_state, "driver", vm->state.driver, "state", state));
}
