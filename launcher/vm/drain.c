/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/drain.h"

#include <stdlib.h>

#include "base/log.h"
#include "launcher/vm/drain_steps.h"
#include "launcher/vm/monitor.h"

static void drain_ask(struct drain *drain);

static void on_release_due(uv_timer_t *timer);

static void wait_until_due(struct vm *vm)
{
	uv_timer_start(&vm->release_timer, on_release_due, vm->plan->options->release_after_ms, 0);
}

static void on_release_due(uv_timer_t *timer)
{
	struct vm *vm = timer->data;

	if (vm->sup == SUP_RESUMING) { /* 'cont' may fail, and the pause go on */
		wait_until_due(vm);
		return;
	}
	vm->release_asked = true;
	vm_post(vm, SUP_EV_RELEASE_WANTED);
}

static void drain_end(struct drain *drain, enum supervisor_event event)
{
	struct vm *vm = drain->vm;

	drain->over = true;
	if (event == SUP_EV_KEPT) {
		log_info("paused, its locks stay: %s", drain->why);
		vm_set_text(&vm->state.held_because, drain->why);
	} else {
		vm_set_text(&vm->state.held_because, NULL);
	}
	if (drain->due_later)
		wait_until_due(vm);
	vm_post(vm, event);
}

static void drain_judge(
	struct drain *drain, const struct drain_step *step, const struct qmp_reply *reply)
{
	enum verdict verdict;

	if (reply->result != 0)
		verdict = drain_keep(drain, "%s: %s", step->command, reply->words);
	else
		verdict = step->judge(drain, reply->value);
	if (verdict == VERDICT_KEEP)
		drain_end(drain, SUP_EV_KEPT);
	else if (verdict == VERDICT_RUNS)
		drain_end(drain, SUP_EV_NOT_STOPPED);
	else if (drain->holders > 1)
		return; /* more answers are on their way */
	else if (drain->step < DRAIN_N_STEPS)
		drain_ask(drain);
	else
		drain_end(drain, SUP_EV_DRAINED);
}

static void drain_let_go(struct drain *drain)
{
	if (--drain->holders == 0)
		free(drain);
}

static void on_reply(void *data, const struct qmp_reply *reply)
{
	struct question *question = data;
	struct drain *drain = question->drain;

	if (drain->token != drain->vm->drain_token)
		drain->over = true; /* given up meanwhile */
	if (!drain->over)
		drain_judge(drain, question->step, reply);
	drain_let_go(drain);
}

static bool is_needed(const struct drain *drain, const struct drain_step *step)
{
	return !step->needed || step->needed(drain);
}

static void drain_ask_one(struct drain *drain, const struct drain_step *step)
{
	struct question *question = &drain->questions[step - drain_steps];

	*question = (struct question){ drain, step };
	drain->holders++;
	monitor_call(drain->vm, &(struct monitor_call){
					.command = step->command,
					.arguments = step->arguments ? step->arguments() : NULL,
					.fd = -1,
					.fn = on_reply,
					.data = question,
				});
}

/* The next step, and with it all that need not wait for its answer. */
static void drain_ask(struct drain *drain)
{
	const struct drain_step *step = &drain_steps[drain->step];

	do {
		if (is_needed(drain, step))
			drain_ask_one(drain, step);
		step = &drain_steps[++drain->step];
	} while (drain->step < DRAIN_N_STEPS && !(step->delicate && is_needed(drain, step)));
}

void drain_start(struct vm *vm)
{
	struct drain *drain = calloc(1, sizeof(*drain));

	vm->retry_release = false;
	if (!drain) {
		vm_set_text(&vm->state.held_because, "out of memory");
		vm_post(vm, SUP_EV_KEPT);
		return;
	}
	drain->vm = vm;
	drain->token = ++vm->drain_token;
	/* for as long as QEMU does not answer, which may be as long as its storage hangs */
	vm_set_text(&vm->state.held_because,
		"QEMU has said that the guest stopped; its last write is not done yet");
	drain->holders = 1;
	drain_ask(drain);
	drain_let_go(drain);
}

void drain_abort(struct vm *vm)
{
	vm->drain_token++;
	vm->lock_token++;
}
