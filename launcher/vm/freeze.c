/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/freeze.h"

#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "base/process.h"
#include "launcher/vm/monitor.h"

#define LOOK_MS          500
#define LOOK_UNTRACED_MS 20 /* so long may a QEMU run on that somebody has sent SIGCONT */

static void stop_now(struct vm *vm)
{
	int ret = pidfd_signal(vm->child.pidfd, SIGSTOP);

	if (ret < 0 && ret != -ESRCH)
		log_error("cannot freeze QEMU (pid %d): %s", vm->child.pid, strerror(-ret));
}

/* A stopped QEMU cannot hear that it is to end; a supervisor that is its parent is told itself. */
static bool is_asked_to_end(const struct vm *vm)
{
	static const int signals[] = { SIGTERM, SIGINT, SIGHUP };
	size_t i;

	for (i = 0; i < sizeof(signals) / sizeof(signals[0]); i++) {
		if (process_awaits_signal(vm->child.pid, signals[i]))
			return true;
	}
	return false;
}

/* Whose parent we are not: nobody tells us of a SIGCONT. */
static void on_look(uv_timer_t *timer)
{
	struct vm *vm = timer->data;

	if (!vm->state.frozen || vm->sup == SUP_ENDING) {
		uv_timer_stop(timer);
		return;
	}
	if (!tracer_holds(&vm->tracer) && !process_is_stopped(vm->child.pid))
		stop_now(vm);
	if (is_asked_to_end(vm)) {
		log_notice("QEMU is frozen and has been sent a signal that ends it: it is killed");
		vm_post(vm, SUP_EV_END_WANTED);
	}
}

static bool is_our_child(const struct vm *vm)
{
	return !vm->plan->in_place && vm->child.pid == vm->daemon.starter.pid;
}

static void look_every(struct vm *vm, uint64_t ms)
{
	vm->freeze_look.data = vm;
	if (!is_our_child(vm))
		uv_timer_start(&vm->freeze_look, on_look, ms, ms);
}

/*
 * What ptrace would do is done as well as it can be: its parent hears of every
 * SIGCONT (freeze_look()), who is not looks for it, and a process of ours stands by to kill it.
 * Said once: a shell's "fg" and every further RESUME freeze it again.
 */
static void do_without_tracing(struct vm *vm, int code)
{
	int ret = deadman_start(&vm->deadman, &(struct deadman_prey){ .pidfd = vm->child.pidfd });

	look_every(vm, LOOK_UNTRACED_MS);
	if (!vm->untraced_told)
		log_warning("QEMU (pid %d) cannot be traced (%s): it is stopped by SIGSTOP alone, "
			    "and whoever sends SIGCONT lets it go on without its locks until it "
			    "is stopped again",
			vm->child.pid, strerror(-code));
	vm->untraced_told = true;
	if (ret < 0)
		log_warning("nobody kills the frozen QEMU (pid %d) if this supervisor dies: %s",
			vm->child.pid, strerror(-ret));
}

void freeze_qemu(struct vm *vm)
{
	int ret;

	stop_now(vm);
	vm->state.frozen = true;
	look_every(vm, LOOK_MS);
	ret = tracer_hold(&vm->tracer, vm->child.pid);
	if (ret < 0)
		do_without_tracing(vm, ret);
}

void freeze_look(struct vm *vm)
{
	int ret = deadman_look(&vm->deadman);

	if (ret < 0)
		log_warning("who would kill the frozen QEMU (pid %d) after this supervisor's death "
			    "has been killed",
			vm->child.pid);
	ret = tracer_look(&vm->tracer);
	if (ret < 0)
		do_without_tracing(vm, ret);
	/* one SIGSTOP too many does not last: SIGCONT takes it away (kernel/signal.c) */
	if (vm->state.frozen && !tracer_holds(&vm->tracer))
		stop_now(vm);
}

void freeze_thaw(struct vm *vm)
{
	int ret;

	vm->state.frozen = false;
	deadman_stop(&vm->deadman);
	ret = pidfd_signal(vm->child.pidfd, SIGCONT);
	if (ret < 0 && ret != -ESRCH)
		log_error("cannot let QEMU (pid %d) go on: %s", vm->child.pid, strerror(-ret));
	tracer_let_go(&vm->tracer);
	monitor_resync(vm);
}
