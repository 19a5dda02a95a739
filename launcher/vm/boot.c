/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/boot.h"

#include <errno.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/exit_status.h"
#include "launcher/vm/daemon.h"
#include "launcher/vm/graph.h"
#include "launcher/vm/loss.h"
#include "launcher/vm/monitor.h"
#include "launcher/vm/preconfig.h"
#include "launcher/vm/refusal.h"
#include "launcher/vm/sandbox_watch.h"
#include "launcher/vm/unborn.h"

/* Each by a new connection; a guest that waits for it is not kept waiting for ever. */
#define CHECKS_MAX 5

/* A start that cannot go on: what to say and what to leave with. */
static void note_refusal(struct vm *vm, int status, const struct error *err)
{
	if (vm->sup == SUP_ENDING) /* the child was killed by us in the midst of its words */
		return;
	vm->refusal = *err;
	vm->exit_status = status;
}

static void stop_listening(struct vm *vm)
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
		note_refusal(vm, exit_status(ret, &err), &err);
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
	if (report->outcome == LOCK_BUSY) {
		refusal_sentence(vm->rundir, &report->conflict, &report->error);
		note_refusal(vm, EX_TEMPFAIL, &report->error);
		refusal_way_out(vm, &report->conflict, &vm->way_out);
	} else {
		if (!report->error.status || !says_all(report->stage))
			error_prefix(&report->error, 0, "%s", stage_name(report->stage));
		note_refusal(vm, exit_status(report->outcome, &report->error), &report->error);
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
		note_refusal(vm, exit_status(ret, &err), &err);
		vm_post(vm, SUP_EV_CHILD_REFUSED);
	}
	if (vm->child.socket < 0)
		return; /* a refusal has closed it */
	if (ret < 0 || report.news == SPAWN_EXECUTED) {
		stop_listening(vm);
	} else if (report.news == SPAWN_LOCKED) {
		adopt(vm, &report);
	} else if (report.news == SPAWN_SANDBOXED) {
		sandbox_watch_start(vm, take_fd(&report.listener));
	} else {
		refused(vm, &report);
	}
}

void boot_hear_last_words(struct vm *vm)
{
	if (vm->child.socket >= 0)
		on_child_news(&vm->child_news, 0, UV_READABLE);
}

void boot_fail(struct vm *vm, const struct error *err)
{
	note_refusal(vm, EX_OSERR, err);
	vm_post(vm, SUP_EV_BOOT_REFUSED);
}

int boot_watch(struct vm *vm, struct error *err)
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

void boot_admit(struct vm *vm)
{
	struct error err = { 0 };
	int status = EX_OSERR;
	int ret;

	/* what is admitted is written down first: it may be all that is left of us */
	vm->state.lock_state = vm->plan->incoming ? VM_LOCK_REGISTERED : VM_LOCK_HELD;
	ret = vm_save_state(vm);
	if (ret < 0) {
		error_set(&err, ret, "%s cannot be written: %s", STATE_FILE, strerror(-ret));
		status = EX_CANTCREAT;
	} else {
		ret = monitor_connect(vm, &err);
	}
	if (ret == 0) {
		unborn_watch(vm);
		vm->admitted = true;
		ret = spawn_admit(vm->child.socket);
		if (ret < 0)
			error_set(&err, ret, "the child has gone before it could become QEMU: %s",
				strerror(-ret));
	}
	if (ret == 0)
		return;
	note_refusal(vm, status, &err);
	vm_post(vm, SUP_EV_BOOT_REFUSED);
}

void boot_refuse(struct vm *vm)
{
	log_error("%s", vm->refusal.text);
	log_error("nothing was started.%s%s", vm->way_out.text[0] ? " " : "", vm->way_out.text);
	if (vm->child.socket >= 0)
		spawn_dismiss(vm->child.socket, vm->exit_status);
	stop_listening(vm);
}

/* Nothing has let it run yet: our -S or the user's. Else it ran, and was stopped. */
static bool has_not_run(const struct vm *vm, const char *status)
{
	return vm->plan->verified || (status && strcmp(status, "prelaunch") == 0);
}

static void note_not_run(struct vm *vm)
{
	if (vm->plan->preconfig && vm->unchecked) {
		vm_set_cause(vm, CAUSE_USER, "it was started with --preconfig");
		vm_set_text(&vm->state.remedy,
			"'x-exit-preconfig', said to a QMP monitor of its own, goes on");
	} else {
		vm_set_cause(vm, CAUSE_USER,
			vm->plan->user_stopped ? "it was started with -S"
					       : "it was stopped before it ran");
	}
}

static void on_boot_status(void *data, const struct qmp_reply *reply)
{
	struct vm *vm = data;
	const char *status = json_string_value(json_object_get(reply->value, "status"));

	if (reply->result != 0)
		return; /* QEMU has gone: its death says the rest */
	vm_set_run_state(vm, status);
	if (json_is_true(json_object_get(reply->value, "running"))) {
		vm_post(vm, SUP_EV_BOOT_RUNNING);
	} else if (vm->plan->verified && !vm->stay && !vm->unchecked) {
		vm_post(vm, SUP_EV_BOOT_RUN);
	} else if (has_not_run(vm, status)) {
		note_not_run(vm);
		vm_post(vm, SUP_EV_BOOT_STAY);
		if (vm->plan->preconfig && vm->unchecked)
			preconfig_await(vm);
	} else {
		vm_post(vm, SUP_EV_BOOT_STOPPED);
	}
}

static void ask_status(struct vm *vm)
{
	monitor_call(vm,
		&(struct monitor_call){
			.command = "query-status", .fd = -1, .fn = on_boot_status, .data = vm });
}

/* Why a check that did not succeed is no reason to let the guest run. */
static int check_status(int result)
{
	if (result == LOCK_BUSY)
		return EX_TEMPFAIL;
	return result == -EACCES || result == -EPERM ? EX_NOPERM : EX_DATAERR;
}

static void on_checked(struct vm *vm, int result, const char *words)
{
	struct error err = { 0 };

	if (vm->sup != SUP_BOOTING)
		return;
	/* QEMU has gone, and its death says the rest; or a new connection asks anew */
	if (result == -ECONNRESET || result == -ENOTCONN)
		return;
	if (result == 0) {
		ask_status(vm);
		return;
	}
	error_set(&err, result, "%s", words);
	note_refusal(vm, check_status(result), &err);
	vm_post(vm, SUP_EV_BOOT_REFUSED);
}

/*
 * The guest runs already. What was not locked (the files may have changed since
 * we looked at them) is locked now; what somebody else has must not go on. That
 * it cannot be told (QEMU answers no such question with --preconfig) is no end.
 */
static void on_checked_running(struct vm *vm, int result, const char *words)
{
	bool in_use = result == LOCK_BUSY || result == -EBUSY;

	if (vm->sup == SUP_BOOTING && result != 0 && !in_use && !vm->plan->options->require_locks) {
		log_info("QEMU's block graph is not compared with what is locked: %s", words);
		ask_status(vm);
	} else {
		on_checked(vm, result, words);
	}
}

void boot_check(struct vm *vm)
{
	struct error err = { 0 };

	if (vm->plan->verified && ++vm->boot_checks > CHECKS_MAX) {
		error_set(&err, 0,
			"the connection to QEMU's monitor breaks each time that QEMU is asked "
			"what it has open");
		boot_fail(vm, &err);
	} else if (vm->plan->incoming) {
		vm_set_cause(vm, CAUSE_MIGRATION, "it waits for a migration");
		vm_set_text(&vm->state.remedy,
			"'vmlatch resume' lets it run, once the migration has come");
		vm_set_run_state(vm, "inmigrate");
		vm_post(vm, SUP_EV_BOOT_REGISTERED);
	} else if (vm->plan->verified) {
		graph_check(vm, on_checked);
	} else {
		graph_check(vm, on_checked_running);
	}
}
