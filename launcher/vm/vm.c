/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/vm.h"

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/memory.h"
#include "launcher/vm/boot.h"
#include "launcher/vm/control.h"
#include "launcher/vm/control_pass.h"
#include "launcher/vm/detach.h"
#include "launcher/vm/drain.h"
#include "launcher/vm/ending.h"
#include "launcher/vm/freeze.h"
#include "launcher/vm/locks.h"
#include "launcher/vm/monitor.h"
#include "launcher/vm/preconfig.h"
#include "launcher/vm/starter.h"
#include "launcher/vm/unborn.h"

#define QUIET_MS      100
#define SAVE_AGAIN_MS 1000
#define N_PENDING     (sizeof(((struct vm *)NULL)->pending) / sizeof(unsigned))

/* In the order of the actions' bits, which is the order in which they are performed. */
static void (*const performers[SUP_N_ACTIONS])(struct vm *vm) = {
	drain_abort,
	freeze_qemu,
	boot_admit,
	boot_refuse,
	boot_check,
	locks_cont,
	drain_start,
	locks_save,
	locks_unlock,
	locks_lock,
	freeze_thaw,
	ending_policy,
	ending_forward,
	ending_idle,
	ending_kill,
	ending_finish,
	locks_await,
};

/* What 'status' calls the state of the locks. */
static enum vm_lock_state lock_state_of(const struct vm *vm)
{
	static const enum vm_lock_state states[SUP_N_STATES] = {
		[SUP_STARTING] = VM_LOCK_REGISTERED,
		[SUP_BOOTING] = VM_LOCK_HELD,
		[SUP_RUNNING] = VM_LOCK_HELD,
		[SUP_DRAINING] = VM_LOCK_HELD,
		[SUP_PAUSED] = VM_LOCK_HELD,
		[SUP_SAVING] = VM_LOCK_RELEASING,
		[SUP_RELEASING] = VM_LOCK_RELEASING,
		[SUP_RELEASED] = VM_LOCK_RELEASED,
		[SUP_ACQUIRING] = VM_LOCK_ACQUIRING,
		[SUP_UNDOING] = VM_LOCK_ACQUIRING,
		[SUP_CHECKING] = VM_LOCK_ACQUIRING,
		[SUP_RESUMING] = VM_LOCK_HELD,
		[SUP_THAWING] = VM_LOCK_ACQUIRING,
		[SUP_FROZEN] = VM_LOCK_RELEASED,
		[SUP_LOST] = VM_LOCK_LOST,
	};
	enum vm_lock_state state = states[vm->sup];

	if (!vm_has_locks(vm))
		return VM_LOCK_NONE;
	if (vm->sup == SUP_ENDING || vm->sup == SUP_DONE)
		return vm->state.lock_state;
	/* a migration's target has held nothing yet */
	if (vm->plan->incoming && !vm->state.lock_text &&
		(state == VM_LOCK_RELEASED || vm->sup == SUP_BOOTING))
		return VM_LOCK_REGISTERED;
	return state;
}

/* From here on it may be long until anything happens. */
static void on_quiet(uv_timer_t *timer)
{
	(void)timer;
	memory_give_back();
}

/* In place: what is said until here concerns who has started it, and may stop the start. */
static void settle(struct vm *vm)
{
	bool starting = vm->sup == SUP_STARTING || vm->sup == SUP_BOOTING ||
			vm->sup == SUP_RESUMING || vm->exit_status;
	bool over = vm->sup == SUP_ENDING || vm->sup == SUP_DONE; /* ending_leave() tells */
	int log;

	if (!vm->plan->in_place || vm->settled || starting || (over && vm->starter >= 0))
		return;
	log = rundir_open_log(vm->rundir);
	if (log < 0)
		log_warning("%s/" RUNDIR_LOG ": %s", vm->rundir->path, strerror(-log));
	detach_let_go_of_errors(log);
	starter_tell(take_fd(&vm->starter), 0);
	vm->settled = true;
}

/* Tell everybody what has changed: state.json first, then whoever listens. */
static void vm_tell(struct vm *vm, enum supervisor_state before)
{
	enum vm_lock_state locks = lock_state_of(vm);
	bool changed = locks != vm->state.lock_state;

	if (vm->sup == SUP_RUNNING && before != SUP_RUNNING) {
		vm_set_cause(vm, CAUSE_NONE, NULL);
		vm->release_asked = vm->undone = false;
		/* what runs has its images active, whatever event was missed */
		vm->state.deactivating = vm->state.deactivated = false;
		uv_timer_stop(&vm->release_timer);
		uv_timer_start(&vm->tidy_timer, on_quiet, QUIET_MS, 0);
		if (vm->plan->preconfig && vm->unchecked)
			preconfig_passed(vm);
	}
	settle(vm);
	unborn_settle(vm);
	vm->state.lock_state = locks;
	if (changed || vm->sup != before)
		vm_save_state(vm);
	if (changed)
		control_emit_lock_state(vm);
	if (vm->state.frozen)
		control_pass_give_up(vm);
	control_settle(vm);
}

static void vm_step(struct vm *vm, enum supervisor_event event)
{
	const struct supervisor_step *step = &supervisor_steps[vm->sup][event];
	enum supervisor_state before = vm->sup;
	int i;

	if (!step->possible) {
		vm->force_stale = false;
		log_debug("'%s' cannot happen in state '%s': passed over",
			supervisor_event_name(event), supervisor_state_name(vm->sup));
		control_settle(vm); /* who waited for its turn behind it has it now */
		return;
	}
	log_debug("%s: %s -> %s", supervisor_event_name(event), supervisor_state_name(before),
		supervisor_state_name(step->next));
	vm->sup = step->next;
	for (i = 0; i < SUP_N_ACTIONS; i++) {
		if (step->actions & 1u << i)
			performers[i](vm);
	}
	vm->force_stale = false; /* used or not: it is not for later */
	vm_tell(vm, before);
}

void vm_post(struct vm *vm, enum supervisor_event event)
{
	if (vm->n_pending == N_PENDING) {
		log_error("too many events at once: '%s' is lost", supervisor_event_name(event));
		return;
	}
	vm->pending[(vm->first_pending + vm->n_pending++) % N_PENDING] = event;
	if (vm->pumping)
		return;
	vm->pumping = true;
	while (vm->n_pending) {
		event = vm->pending[vm->first_pending];
		vm->first_pending = (vm->first_pending + 1) % N_PENDING;
		vm->n_pending--;
		vm_step(vm, event);
	}
	vm->pumping = false;
}

static void on_save_again(uv_timer_t *timer)
{
	vm_save_state(timer->data);
}

/*
 * Room comes back without a word, and until the next change 'status' would tell of the
 * past. Until then the old file says that it is old: the next one has its own mode.
 */
int vm_save_state(struct vm *vm)
{
	struct error err = { 0 };
	int ret;

	vm->state.event_seq = vm->events.next - 1;
	ret = vm_state_save(vm->rundir->fd, STATE_FILE, &vm->state, &err);
	if (ret < 0) {
		if (!uv_is_active((uv_handle_t *)&vm->save_timer))
			log_warning(
				"%s/%s is out of date: %s", vm->rundir->path, STATE_FILE, err.text);
		fchmodat(vm->rundir->fd, STATE_FILE, RUNDIR_STATE_OUTDATED, 0);
		uv_timer_start(&vm->save_timer, on_save_again, SAVE_AGAIN_MS, SAVE_AGAIN_MS);
	} else {
		uv_timer_stop(&vm->save_timer);
	}
	service_tell(vm);
	return ret;
}

void vm_set_text(char **member, const char *text)
{
	char *copy = text ? strdup(text) : NULL;

	free(*member);
	*member = copy;
}

/* What would bring the VM back. */
static const char *remedy_for(enum vm_cause cause)
{
	static const char *const remedies[] = {
		[CAUSE_USER] = "'vmlatch resume' lets it go on",
		[CAUSE_WATCHDOG] = "'vmlatch resume' lets it go on, its watchdog has fired",
		[CAUSE_IO_ERROR] =
			"mend the storage (make room), then 'vmlatch resume' repeats the write",
		[CAUSE_LOCK_LOST] = "nothing but 'vmlatch stop': its disks may have another user",
		[CAUSE_LOCK_BUSY] =
			"free the disk ('vmlatch who' tells its user), then 'vmlatch resume'",
		[CAUSE_STALE] =
			("'vmlatch stop' and a new start; 'vmlatch resume --force-stale' risks the "
			 "disk's contents"),
		[CAUSE_MIGRATION] = "nothing here: it has moved; 'vmlatch stop' ends what is left",
		[CAUSE_GUEST_PANIC] = "'vmlatch stop' and a new start",
		[CAUSE_SHUTDOWN] = "'vmlatch stop' ends it: the guest has shut down",
		[CAUSE_UNKNOWN] = "'vmlatch resume' lets it go on",
	};

	return cause < sizeof(remedies) / sizeof(remedies[0]) ? remedies[cause] : NULL;
}

void vm_set_cause(struct vm *vm, enum vm_cause cause, const char *detail)
{
	if (cause != vm->state.cause)
		vm->state.cause_since = cause == CAUSE_NONE ? 0 : clock_realtime_s();
	vm->state.cause = cause;
	vm_set_text(&vm->state.cause_detail, detail);
	vm_set_text(&vm->state.remedy, remedy_for(cause));
	if (cause == CAUSE_NONE)
		vm_set_text(&vm->state.held_because, NULL);
}

void vm_set_run_state(struct vm *vm, const char *run_state)
{
	vm_set_text(&vm->state.run_state, run_state);
}

bool vm_pin_quietly(struct vm *vm, const char *why)
{
	if (strv_has(&vm->state.pinned, why))
		return false;
	if (strv_add(&vm->state.pinned, why) < 0)
		log_error("out of memory");
	vm_save_state(vm);
	return true;
}

void vm_pin(struct vm *vm, const char *why)
{
	if (vm_pin_quietly(vm, why))
		log_notice("its locks stay until QEMU's end: %s", why);
}

bool vm_has_locks(const struct vm *vm)
{
	return strcmp(vm->state.driver, "nop") != 0;
}
