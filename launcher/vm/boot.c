/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/boot.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/log.h"
#include "launcher/exit_status.h"
#include "launcher/vm/child_news.h"
#include "launcher/vm/graph.h"
#include "launcher/vm/monitor.h"
#include "launcher/vm/preconfig.h"
#include "launcher/vm/unborn.h"

/* A process whose socket has closed is dead in a moment, if that is why. */
#define DEATH_PATIENCE_MS 200

/* Each by a new connection; a guest that waits for it is not kept waiting for ever. */
#define CHECKS_MAX 5

void boot_note_refusal(struct vm *vm, int status, const struct error *err)
{
	if (vm->sup == SUP_ENDING) /* the child was killed by us in the midst of its words */
		return;
	vm->refusal = *err;
	vm->exit_status = status;
}

void boot_fail(struct vm *vm, const struct error *err)
{
	boot_note_refusal(vm, EX_OSERR, err);
	vm_post(vm, SUP_EV_BOOT_REFUSED);
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
	boot_note_refusal(vm, status, &err);
	vm_post(vm, SUP_EV_BOOT_REFUSED);
}

/* A signal to a drop-in is one to the child: what it left half done is no fault of anything. */
static bool has_been_ended(const struct vm *vm)
{
	struct pollfd death = { .fd = vm->child.pidfd, .events = POLLIN };

	return !vm->child_refused && poll(&death, 1, DEATH_PATIENCE_MS) > 0;
}

static bool has_executed(const struct vm *vm)
{
	return vm->admitted && vm->child.socket < 0;
}

/* What has become of it until now. */
static const char *outcome_of(const struct vm *vm)
{
	if (!has_executed(vm))
		return "nothing was started.";
	return vm->plan->verified ? "QEMU is killed; its guest has not run."
				  : "QEMU is killed; its guest may have run.";
}

void boot_refuse(struct vm *vm)
{
	if (!has_executed(vm) && has_been_ended(vm)) {
		log_debug("%s", vm->refusal.text);
		log_error("its process was ended before it became QEMU: nothing was started.");
	} else {
		log_error("%s", vm->refusal.text);
		log_error(
			"%s%s%s", outcome_of(vm), vm->way_out.text[0] ? " " : "", vm->way_out.text);
	}
	if (vm->child.socket >= 0)
		spawn_dismiss(vm->child.socket, vm->exit_status);
	child_news_stop(vm);
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
	boot_note_refusal(vm, check_status(result), &err);
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
