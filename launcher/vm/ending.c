/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/ending.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "launcher/exit_status.h"
#include "launcher/vm/daemon.h"
#include "launcher/vm/last_io.h"
#include "launcher/vm/locks.h"
#include "launcher/vm/monitor.h"
#include "launcher/vm/sandbox_watch.h"
#include "launcher/vm/starter.h"

/* It goes by itself, with an exit status that somebody may wait for. */
static bool is_dismissed(const struct vm *vm)
{
	return vm->exit_status && !vm->admitted;
}

void ending_kill(struct vm *vm)
{
	int ret = is_dismissed(vm) ? 0 : pidfd_signal(vm->child.pidfd, SIGKILL);

	if (ret < 0 && ret != -ESRCH)
		log_error("cannot kill QEMU (pid %d): %s", vm->child.pid, strerror(-ret));
	if (!vm->end.by_policy)
		vm->end.killed = true;
}

void ending_policy(struct vm *vm)
{
	if (vm->plan->options->on_lock_failure != ON_LOCK_FAILURE_POWEROFF)
		return;
	log_error("killing it: --on-lock-failure=poweroff");
	vm->end.by_policy = true;
	ending_kill(vm);
}

/* No monitor (yet, or any more), or one that refuses: SIGTERM is the same to QEMU. */
static void on_quit(void *data, const struct qmp_reply *reply)
{
	struct vm *vm = data;

	if (reply->result != 0)
		pidfd_signal(vm->child.pidfd, SIGTERM);
}

void ending_forward(struct vm *vm)
{
	if (!vm->end.signal)
		monitor_call(vm, &(struct monitor_call){
					 .command = "quit", .fd = -1, .fn = on_quit, .data = vm });
	else if (!vm->end.seen_by_qemu)
		pidfd_signal(vm->child.pidfd, vm->end.signal);
}

void ending_idle(struct vm *vm)
{
	/* RESUME behind the end request: what the guest does, it does under its locks */
	if (vm->state.lock_state == VM_LOCK_HELD)
		return;
	if (vm->state.deactivated && !vm->state.frozen) {
		ending_forward(vm);
		return;
	}
	log_notice("QEMU is killed: it holds no locks, and would write its caches on a quiet end");
	ending_kill(vm);
}

static void on_given_back(void *data, const struct locks_result *result)
{
	struct vm *vm = data;

	(void)result;
	uv_stop(&vm->loop);
}

static void on_last_write_done(struct vm *vm)
{
	locks_end(vm, on_given_back, vm);
}

void ending_finish(struct vm *vm)
{
	daemon_watch_stop(vm);
	deadman_stop(&vm->deadman);
	deadman_stop(&vm->unborn);
	qmp_client_free(vm->monitor);
	vm->monitor = NULL;
	last_io_wait(vm, on_last_write_done);
}

/* A child's own status is ours to have; in place it is its parent's, and the kernel may tell. */
static int wait_status(const struct vm *vm, int *ret)
{
	siginfo_t info = { 0 };

	if (vm->plan->in_place) {
		int status, code = pidfd_wait_status(vm->child.pidfd, &status);

		if (code == 0)
			*ret = WIFEXITED(status) ? WEXITSTATUS(status) : -WTERMSIG(status);
		return code;
	}
	if (waitid(P_PIDFD, vm->daemon.starter.pidfd, &info, WEXITED) < 0)
		return -errno;
	*ret = info.si_code == CLD_EXITED ? info.si_status : -info.si_status;
	return 0;
}

static void reap(struct vm *vm)
{
	struct vm_state *state = &vm->state;
	int ret = wait_status(vm, &state->end_status);

	if (vm->sandbox.killed_qemu) /* as the kernel would have done it */
		state->end_status = -SIGSYS;
	else if (ret == 0)
		sandbox_watch_explain(vm, state->end_status);
	state->end_from_qemu = ret == 0;
	if (ret == 0)
		return;
	if (!vm->plan->in_place)
		log_warning("QEMU's exit status cannot be had: %s", strerror(-ret));
	state->end_status = vm->shutdown_seen ? 0 : EX_SOFTWARE;
}

static void write_end_record(struct vm *vm)
{
	struct error err = { 0 };

	vm->state.ended = true;
	vm->state.end_time = clock_realtime_s();
	vm->state.lock_state = vm_has_locks(vm) ? VM_LOCK_RELEASED : VM_LOCK_NONE;
	vm_set_run_state(vm, "gone");
	if (rundir_save_end(vm->rundir, &vm->state, &err) < 0)
		log_warning("the end record is missing: %s", err.text);
}

/* Whoever has said -daemonize waits for this only if the guest has never come to run. */
static void tell_starter(struct vm *vm)
{
	int status = vm->exit_status;

	if (vm->starter >= 0 && !status && vm->monitor_ready && !vm->shutdown_seen) {
		log_error("QEMU has ended before its guest could run");
		status = EX_SOFTWARE;
	}
	starter_tell(take_fd(&vm->starter), status);
}

void ending_remove_files(struct vm *vm)
{
	/* --qmp: by now it may be the socket of a VM that was started since */
	if (vm->state.qmp_path)
		unix_socket_remove(vm->state.qmp_path, &vm->qmp_file);
	rundir_remove(vm->rundir);
}

int ending_leave(struct vm *vm)
{
	int status;

	reap(vm);
	/* a refused start is no VM that has ended */
	if (!vm->exit_status && !vm->plan->unnamed) {
		write_end_record(vm);
		rundir_save_log(vm->rundir);
	}
	ending_remove_files(vm);
	tell_starter(vm);
	status = vm->state.end_status;
	if (vm->exit_status || vm->plan->in_place)
		return vm->exit_status;
	if (vm->end.by_policy)
		return EXIT_STATUS_LOCK_LOST;
	if (status >= 0)
		return status;
	if (status == -SIGKILL && vm->end.killed)
		return 0;
	process_die_of(-status);
	return 128 - status; /* a signal that we cannot die of */
}
