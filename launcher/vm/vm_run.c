/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/vm.h"

#include <errno.h>
#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/log_output.h"
#include "base/process.h"
#include "launcher/exit_status.h"
#include "launcher/vm/child_news.h"
#include "launcher/vm/control.h"
#include "launcher/vm/detach.h"
#include "launcher/vm/ending.h"
#include "launcher/vm/loss.h"
#include "launcher/vm/rundir_lock.h"
#include "launcher/vm/signals.h"

#define USE_IO_URING "UV_USE_IO_URING"

/* One VM a process. */
static struct vm the_vm;

static int prepare_state(struct vm *vm)
{
	struct vm_state *state = &vm->state;
	size_t i;
	int ret;

	snprintf(state->name, sizeof(state->name), "%s", vm->rundir->name);
	ret = uuid_generate(state->instance);
	if (ret == 0)
		ret = process_boot_id(state->boot_id);
	state->supervisor.pid = getpid();
	process_start_time(getpid(), &state->supervisor.start_time);
	vm_set_text(&state->binary, vm->plan->argv[0]);
	vm_set_text(&state->driver, vm->plan->options->lock);
	vm_set_text(&state->run_state, "starting");
	state->lock_state = VM_LOCK_REGISTERED;
	state->started = clock_realtime_s();
	for (i = 0; ret == 0 && i < vm->plan->pinned->n; i++)
		ret = strv_add(&state->pinned, vm->plan->pinned->items[i]);
	if (ret == 0)
		ret = resource_set_copy(&state->resources, vm->plan->resources);
	if (!state->binary || !state->driver || !state->run_state)
		ret = -ENOMEM;
	vm_set_cause(vm, CAUSE_STARTING, NULL);
	return ret;
}

static int prepare_locks(struct vm *vm, struct error *err)
{
	struct lock_owner *owner = &vm->lock_params.owner;

	snprintf(owner->vm, sizeof(owner->vm), "%s", vm->state.name);
	memcpy(owner->instance, vm->state.instance, sizeof(owner->instance));
	memcpy(owner->boot_id, vm->state.boot_id, sizeof(owner->boot_id));
	options_fill_lock_params(vm->plan->options, &vm->lock_params);
	vm->lock_params.credentials = vm->plan->credentials;
	return domain_lock_new(
		vm->plan->options->lock, &vm->lock_params, vm->plan->resources, &vm->domain, err);
}

static int prepare_sockets(struct vm *vm, struct error *err)
{
	_cleanup_(freep) char *monitor = NULL;
	_cleanup_(freep) char *qmp = NULL;
	const char *path = vm->plan->options->qmp;
	int listener;

	if (!path && asprintf(&qmp, "%s/" RUNDIR_QMP, vm->rundir->path) < 0)
		return -ENOMEM;
	if (asprintf(&monitor, "%s/" RUNDIR_MONITOR, vm->rundir->path) < 0)
		return -ENOMEM;
	vm_set_text(&vm->state.qmp_path, path ? path : qmp);
	vm->monitor_listen_fd = rundir_listen(monitor, NULL, err);
	if (vm->monitor_listen_fd < 0)
		return vm->monitor_listen_fd;
	listener = rundir_listen(vm->state.qmp_path, &vm->qmp_file, err);
	if (listener < 0)
		return listener;
	return control_start(vm, listener, err);
}

/* In place we are another process now, and the user's things are not ours to hold. */
static int settle_down(struct vm *vm, struct error *err)
{
	int ret = uv_loop_fork(&vm->loop);

	if (ret < 0)
		return error_set(err, ret, "set up the event loop: %s", uv_strerror(ret));
	ret = qmp_server_listen_anew(vm->server);
	if (ret < 0)
		return error_set(err, ret, "listen at %s: %s", vm->state.qmp_path, strerror(-ret));
	detach_let_go(vm->rundir->name);
	vm->state.supervisor.pid = getpid();
	process_start_time(getpid(), &vm->state.supervisor.start_time);
	return rundir_lock_sign(vm->rundir->lock_fd, err);
}

static int start_child(struct vm *vm, struct error *err)
{
	const struct options *options = vm->plan->options;
	struct spawn_plan plan = {
		.in_place = vm->plan->in_place,
		.binary = vm->plan->binary,
		.arguments = qemu_arguments_of(vm->plan),
		.keep_environment = vm->plan->drop_in,
		.monitor_fd = vm->monitor_listen_fd,
		.credentials = vm->plan->credentials,
		.privileges = vm->plan->privileges,
		.sandbox = vm->plan->sandbox,
		.die_with_supervisor = options->on_supervisor_death == ON_SUPERVISOR_DEATH_KILL,
		.domain = vm->domain,
		.register_only = vm->plan->incoming,
		.wait_ms = options->wait_ms,
		.signals = vm->plan->signals,
		.ignores_children = vm->plan->ignores_children,
	};
	int ret = spawn_start(&plan, &vm->child, err);

	if (ret == 0 && plan.in_place)
		ret = settle_down(vm, err);
	if (ret == 0) {
		log_output_never_wait(); /* QEMU has stderr too */
		ret = privileges_of_supervisor(plan.privileges, err);
	}
	if (ret < 0)
		return ret;
	sandbox_load_supervisors();
	close(take_fd(&vm->monitor_listen_fd)); /* QEMU's alone from now on */
	signals_ignore();
	vm->state.qemu.pid = vm->child.pid;
	vm->state.qemu.start_time = vm->child.start_time;
	return child_news_watch(vm, err);
}

/*
 * Without io_uring, which goes past a filter of system calls; libuv asks once (from 1.45
 * on). QEMU's environment stays as it was.
 */
static int init_loop(uv_loop_t *loop)
{
	bool given = getenv(USE_IO_URING);
	int ret;

	setenv(USE_IO_URING, "0", true);
	ret = uv_loop_init(loop);
	if (!given)
		unsetenv(USE_IO_URING);
	return ret;
}

static int vm_start(struct vm *vm, struct error *err)
{
	int ret;

	ret = init_loop(&vm->loop);
	if (ret < 0)
		return error_set(err, ret, "set up the event loop: %s", uv_strerror(ret));
	event_log_init(&vm->events);
	uv_timer_init(&vm->loop, &vm->release_timer);
	uv_timer_init(&vm->loop, &vm->last_io_timer);
	uv_timer_init(&vm->loop, &vm->patience);
	uv_timer_init(&vm->loop, &vm->tidy_timer);
	uv_timer_init(&vm->loop, &vm->save_timer);
	uv_timer_init(&vm->loop, &vm->lock_deadline);
	uv_timer_init(&vm->loop, &vm->freeze_look);
	loss_init(vm);
	uv_timer_init(&vm->loop, &vm->machine_look);
	service_start(vm, vm->plan->notify);
	uv_unref((uv_handle_t *)&vm->tidy_timer);
	vm->release_timer.data = vm->last_io_timer.data = vm->patience.data = vm;
	vm->lock_deadline.data = vm->save_timer.data = vm;
	ret = prepare_state(vm);
	if (ret < 0)
		return error_set(err, ret, "set up the VM's state: %s", strerror(-ret));
	ret = prepare_locks(vm, err);
	if (ret == 0)
		ret = prepare_sockets(vm, err);
	if (ret == 0)
		ret = lock_worker_new(&vm->loop, &vm->worker, err);
	if (ret == 0)
		ret = signals_start(vm, err);
	if (ret == 0)
		ret = start_child(vm, err);
	/* while the child takes its locks; it waits for our word before it becomes QEMU */
	if (ret == 0 && vm_save_state(vm) < 0)
		ret = error_status(err,
			error_set(err, -EIO, "cannot write %s/%s", vm->rundir->path, STATE_FILE),
			EX_CANTCREAT);
	return ret;
}

int vm_run(const struct vm_plan *plan, struct rundir *rundir)
{
	struct vm *vm = &the_vm;
	struct error err = { 0 };
	int ret;

	*vm = (struct vm){
		.plan = plan,
		.rundir = rundir,
		.child = { .pidfd = -1, .socket = -1 },
		.deadman = { .pipe = -1 },
		.unborn = { .pipe = -1 },
		.monitor_listen_fd = -1,
		.daemon.fd = -1,
		.signal_fd = -1,
		.starter = plan->starter,
		.sandbox.listener = -1,
		.lost_fd = -1,
		.stay = plan->user_stopped,
		.unchecked = plan->incoming || plan->preconfig,
		.awaits_machine = plan->preconfig,
	};
	process_hide();          /* the guard would be a QEMU's of the same user for the asking */
	mallopt(M_ARENA_MAX, 1); /* the lock thread needs no arena of its own */
	ret = vm_start(vm, &err);
	if (ret < 0) {
		log_error("%s", err.text);
		notify_refusal(plan->notify, err.text);
		ending_remove_files(vm);
		if (vm->child.socket >= 0)
			spawn_dismiss(vm->child.socket, exit_status(ret, &err));
		return exit_status(ret, &err);
	}
	uv_run(&vm->loop, UV_RUN_DEFAULT);
	return ending_leave(vm);
}
