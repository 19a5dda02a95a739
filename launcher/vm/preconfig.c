/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/preconfig.h"

#include <errno.h>

#include "base/log.h"
#include "launcher/vm/graph.h"
#include "launcher/vm/monitor.h"
#include "launcher/vm/unborn.h"

#define LOOK_MS 100

static void go_on(struct vm *vm)
{
	if (vm->stay || vm->plan->user_stopped) { /* a 'cont' that came too early was refused */
		vm_set_cause(vm, CAUSE_USER, "it was started with -S");
		vm_save_state(vm);
		unborn_settle(vm);
	} else {
		vm_post(vm, SUP_EV_RUN_WANTED);
	}
}

/* It has somebody else's disk open, or one that cannot be locked: it must not run, or go on. */
static void give_up(struct vm *vm, const char *words)
{
	log_error("%s", words);
	vm_set_cause(vm, CAUSE_LOCK_LOST, words);
	vm_post(vm, SUP_EV_LOCK_LOST);
}

static void on_checked(struct vm *vm, int result, const char *words)
{
	bool in_use = result == LOCK_BUSY || result == -EBUSY;
	bool awaited = vm->awaits_machine;

	vm->awaits_machine = false;
	if (!supervisor_state_is_held(vm->sup))
		return; /* given back: it is compared when the locks are taken again */
	if (result == -ECONNRESET || result == -ENOTCONN) {
		vm->awaits_machine = awaited;
		if (awaited) /* by a new connection, unless it is dead */
			preconfig_await(vm);
	} else if (in_use || (result < 0 && vm->plan->options->require_locks)) {
		give_up(vm, words);
	} else if (result < 0) {
		vm_set_text(&vm->state.held_because, words);
		vm_pin(vm, words);
	} else {
		vm->unchecked = false;
		if (awaited && vm->sup == SUP_PAUSED)
			go_on(vm);
	}
}

/* Refused as long as there is no machine (QEMU's qmp_command_available(); seen with 7.2). */
static void on_answer(void *data, const struct qmp_reply *reply)
{
	struct vm *vm = data;

	if (!vm->awaits_machine || vm->sup != SUP_PAUSED)
		return; /* the timer asks again */
	if (reply->result == 0) {
		uv_timer_stop(&vm->machine_look);
		graph_check(vm, on_checked);
	}
}

static void on_look(uv_timer_t *timer)
{
	struct vm *vm = timer->data;

	if (!vm->awaits_machine || vm->sup == SUP_ENDING || vm->sup == SUP_DONE)
		uv_timer_stop(timer);
	else if (vm->sup == SUP_PAUSED && vm->monitor)
		monitor_call(vm,
			&(struct monitor_call){
				.command = "query-jobs", .fd = -1, .fn = on_answer, .data = vm });
}

void preconfig_await(struct vm *vm)
{
	vm->machine_look.data = vm;
	uv_timer_start(&vm->machine_look, on_look, 0, LOOK_MS);
}

void preconfig_passed(struct vm *vm)
{
	vm->awaits_machine = false;
	uv_timer_stop(&vm->machine_look);
	graph_check(vm, on_checked);
}
