/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/sandbox_watch.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/process.h"
#include "sandbox/notice.h"

/* What QEMU starts could fill the log, which lies in memory: one after the other. */
#define MOST_NAMED 16

static const char *option_of(const struct vm *vm)
{
	return vm->plan->sandbox->mode == SANDBOX_STRICT ? "--sandbox=strict" : "--sandbox=default";
}

static bool is_qemu(const struct vm *vm, pid_t pid)
{
	return pid == vm->child.pid || pid == vm->daemon.starter.pid;
}

/* While the caller waits his number is his own: what was opened by it is he. */
static int kill_caller(int listener, const struct sandbox_notice *notice, pid_t pid)
{
	_cleanup_(closep) int pidfd = pidfd_open_cloexec(pid);

	if (pidfd < 0)
		return pidfd;
	return sandbox_notice_is_valid(listener, notice) ? pidfd_signal(pidfd, SIGKILL) : -ESRCH;
}

/* Once more for the sentence that no more are told. */
static bool may_say(struct vm *vm)
{
	if (vm->sandbox.named > MOST_NAMED)
		return false;
	if (vm->sandbox.named++ < MOST_NAMED)
		return true;
	log_warning("what more is called that %s forbids is not told; it ends as these calls did",
		option_of(vm));
	return false;
}

static void say(struct vm *vm, const struct sandbox_notice *notice,
	const struct process_thread *caller, bool killed)
{
	const char *end = killed ? "killed" : "refused";
	bool qemus = is_qemu(vm, caller->process);
	char call[SANDBOX_CALL_SIZE];

	/* QEMU dies once */
	if (!(qemus && killed) && !may_say(vm))
		return;
	sandbox_notice_call(notice, call);
	if (qemus)
		log_error("QEMU (pid %d) called %s, which %s forbids: %s", caller->process, call,
			option_of(vm), end);
	else
		log_warning("'%s' (pid %d), which QEMU has started, called %s, which %s forbids: "
			    "%s",
			caller->name, caller->process, call, option_of(vm), end);
}

static void end_caller(struct vm *vm, const struct sandbox_notice *notice)
{
	struct process_thread caller = { .process = notice->thread, .name = "?" };
	int ret = process_of_thread(notice->thread, &caller);

	if (ret == 0)
		ret = kill_caller(vm->sandbox.listener, notice, caller.process);
	if (ret == 0) {
		say(vm, notice, &caller, true);
		vm->sandbox.killed_qemu |= is_qemu(vm, caller.process);
		return;
	}
	if (sandbox_notice_refuse(vm->sandbox.listener, notice) == 0)
		say(vm, notice, &caller, false);
}

static void stop(struct vm *vm)
{
	uv_poll_stop(&vm->sandbox.poll);
	close(take_fd(&vm->sandbox.listener));
}

static void on_notice(uv_poll_t *poll, int status, int events)
{
	struct vm *vm = poll->data;
	struct sandbox_notice notice;
	int ret = status;

	(void)events;
	if (ret == 0)
		ret = sandbox_notice_take(vm->sandbox.listener, &notice);
	if (ret == 0)
		end_caller(vm, &notice);
	if (ret < 0)
		log_warning("calls that %s forbids fail, and kill nobody any more: %s",
			option_of(vm), strerror(-ret));
	if (ret < 0 || ret == SANDBOX_ALL_GONE)
		stop(vm);
}

void sandbox_watch_start(struct vm *vm, int listener)
{
	int ret;

	vm->sandbox.listener = listener;
	vm->sandbox.poll.data = vm;
	ret = uv_poll_init(&vm->loop, &vm->sandbox.poll, listener);
	if (ret == 0)
		ret = uv_poll_start(&vm->sandbox.poll, UV_READABLE, on_notice);
	if (ret == 0)
		return;
	log_warning(
		"calls that %s forbids fail, and kill nobody: %s", option_of(vm), uv_strerror(ret));
	close(take_fd(&vm->sandbox.listener));
}

void sandbox_watch_explain(const struct vm *vm, int status)
{
	if (status == -SIGSYS && !vm->sandbox.killed_qemu)
		log_error("QEMU was killed by SIGSYS: it made a system call that its sandbox "
			  "forbids (the kernel's log has its number: type=1326)");
}
