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

static void say(const struct vm *vm, const struct sandbox_notice *notice,
	const struct process_thread *caller, const char *end)
{
	char call[SANDBOX_CALL_SIZE];

	sandbox_notice_call(notice, call);
	if (is_qemu(vm, caller->process))
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
		say(vm, notice, &caller, "killed");
		vm->sandbox.killed_qemu |= is_qemu(vm, caller.process);
		return;
	}
	if (sandbox_notice_refuse(vm->sandbox.listener, notice) == 0)
		say(vm, notice, &caller, "refused");
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
	else if (ret != SANDBOX_NOBODY)
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
