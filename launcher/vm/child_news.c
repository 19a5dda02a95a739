/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/child_news.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/exit_status.h"
#include "launcher/vm/boot.h"
#include "launcher/vm/daemon.h"
#include "launcher/vm/loss.h"
#include "launcher/vm/refusal.h"
#include "launcher/vm/sandbox_watch.h"

void child_news_stop(struct vm *vm)
{
	if (vm->child.socket < 0)
		return;
	uv_poll_stop(&vm->child_news);
	close(take_fd(&vm->child.socket));
}

static void adopt(struct vm *vm, struct spawn_report *report)
{
	struct domain_lock_start start = {
		.register_only = vm->plan->incoming,
		.pid = vm->child.pid,
		.start_time = vm->child.start_time,
	};
	struct error err = { 0 };
	int ret;

	ret = domain_lock_adopt(
		vm->domain, &start, report->fds, report->n_fds, report->state, &err);
	if (ret < 0) {
		error_prefix(&err, ret, "take over the child's locks");
		boot_note_refusal(vm, exit_status(ret, &err), &err);
		vm_post(vm, SUP_EV_CHILD_REFUSED);
		return;
	}
	report->n_fds = 0; /* they are the lock object's now */
	loss_watch(vm, domain_lock_lost_fd(vm->domain));
	resource_set_finish(&vm->state.resources);
	ret = resource_set_copy(&vm->state.resources, domain_lock_resources(vm->domain));
	if (ret == 0 && !vm->plan->incoming) /* QEMU inherits them */
		ret = resource_set_copy(&vm->in_qemu, &vm->state.resources);
	if (ret < 0)
		log_error("out of memory");
	vm_post(vm, SUP_EV_CHILD_LOCKED);
}

/* The others' sentences say what went wrong, but not on the way to what. */
static bool says_all(enum stage stage)
{
	return stage == STAGE_LOCK || stage == STAGE_EXEC;
}

static void refused(struct vm *vm, struct spawn_report *report)
{
	vm->child_refused = true;
	if (report->outcome == LOCK_BUSY) {
		refusal_sentence(vm->rundir, &report->conflict, &report->error);
		boot_note_refusal(vm, EX_TEMPFAIL, &report->error);
		refusal_way_out(vm, &report->conflict, &vm->way_out);
	} else {
		if (!report->error.status || !says_all(report->stage))
			error_prefix(&report->error, 0, "%s", stage_name(report->stage));
		boot_note_refusal(vm, exit_status(report->outcome, &report->error), &report->error);
		if (report->outcome == -EACCES)
			refusal_name_user(vm, &vm->way_out);
	}
	vm_post(vm, SUP_EV_CHILD_REFUSED);
}

static void on_child_news(uv_poll_t *poll, int status, int events)
{
	_cleanup_(spawn_report_finish) struct spawn_report report = { .listener = -1 };
	struct vm *vm = poll->data;
	struct error err = { 0 };
	int ret;

	(void)events;
	ret = status < 0 ? error_set(&err, status, "%s", uv_strerror(status))
			 : spawn_receive(vm->child.socket, &report, &err);
	if (ret == 0 && report.news == SPAWN_EXECUTED && vm->sup == SUP_STARTING)
		ret = error_status(&err,
			error_set(&err, -ECHILD, "its process died while it took the locks"),
			EX_OSERR);
	if (ret < 0) {
		boot_note_refusal(vm, exit_status(ret, &err), &err);
		vm_post(vm, SUP_EV_CHILD_REFUSED);
	}
	if (vm->child.socket < 0)
		return; /* a refusal has closed it */
	if (ret < 0 || report.news == SPAWN_EXECUTED) {
		child_news_stop(vm);
	} else if (report.news == SPAWN_LOCKED) {
		adopt(vm, &report);
	} else if (report.news == SPAWN_SANDBOXED) {
		sandbox_watch_start(vm, take_fd(&report.listener));
	} else {
		refused(vm, &report);
	}
}

void child_news_hear_last(struct vm *vm)
{
	if (vm->child.socket >= 0)
		on_child_news(&vm->child_news, 0, UV_READABLE);
}

int child_news_watch(struct vm *vm, struct error *err)
{
	int ret;

	vm->child_news.data = vm;
	ret = uv_poll_init(&vm->loop, &vm->child_news, vm->child.socket);
	if (ret == 0)
		ret = uv_poll_start(&vm->child_news, UV_READABLE, on_child_news);
	if (ret == 0)
		ret = daemon_watch(vm);
	if (ret < 0)
		return error_set(err, ret, "watch QEMU: %s", uv_strerror(ret));
	return 0;
}
