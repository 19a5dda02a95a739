/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "launcher/vm/block_nodes.h"
#include "launcher/vm/graph.h"
#include "launcher/vm/locks.h"
#include "launcher/vm/locks_job.h"
#include "launcher/vm/monitor.h"
#include "launcher/vm/refusal.h"

/* From held to running: verify what is held, and let the guest go on. */

/* Of a QEMU that has gone its death says enough, and of a broken connection the monitor's file. */
static bool has_hung_up(int result)
{
	return result == -ENOTCONN || result == -ECONNRESET;
}

static void cont_failed(struct vm *vm, int result, const char *words)
{
	if (vm->sup != SUP_RESUMING)
		return; /* something else has happened meanwhile */
	error_set(&vm->refusal, 0, "%s", words);
	vm->refusal_outcome = -EIO;
	if (!has_hung_up(result))
		log_warning("QEMU does not go on: %s", words);
	vm_set_text(&vm->state.held_because, words);
	vm_post(vm, SUP_EV_CONT_FAILED);
}

/* How far QEMU has come with it is not known: it may have activated some of its images. */
static void note_half_way(struct vm *vm)
{
	vm->state.deactivating |= vm->state.deactivated;
	vm->state.deactivated = false;
}

static void on_status_after_cont(void *data, const struct qmp_reply *reply)
{
	struct vm *vm = data;
	const char *status = json_string_value(json_object_get(reply->value, "status"));
	char text[128];

	if (vm->sup != SUP_RESUMING)
		return;
	if (reply->result == 0 && json_is_true(json_object_get(reply->value, "running"))) {
		vm_post(vm, SUP_EV_RESUMED);
		return;
	}
	note_half_way(vm);
	snprintf(text, sizeof(text), "QEMU took 'cont' and stays in the state '%s'",
		status ? status : reply->words);
	cont_failed(vm, reply->result, text);
}

static void on_cont(void *data, const struct qmp_reply *reply)
{
	struct vm *vm = data;

	if (reply->result != 0 && vm->sup == SUP_RESUMING)
		note_half_way(vm);
	if (reply->result != 0)
		cont_failed(vm, reply->result, reply->words);
	else if (vm->sup == SUP_RESUMING) /* no RESUME has come: some states ignore 'cont' */
		monitor_call(vm, &(struct monitor_call){ .command = "query-status",
					 .fd = -1,
					 .fn = on_status_after_cont,
					 .data = vm });
}

static void send_cont(struct vm *vm)
{
	monitor_call(vm,
		&(struct monitor_call){ .command = "cont", .fd = -1, .fn = on_cont, .data = vm });
}

static void on_nodes_before_cont(void *data, const struct qmp_reply *reply)
{
	struct vm *vm = data;
	char moved[512];

	if (vm->sup != SUP_RESUMING)
		return;
	if (reply->result != 0)
		cont_failed(vm, reply->result, reply->words);
	else if (block_nodes_moved(
			 reply->value, vm->child.pid, &vm->state.resources, moved, sizeof(moved)))
		cont_failed(vm, -EIO, moved);
	else
		send_cont(vm);
}

/* A deactivated QEMU opens its images again: they must be those that are locked. */
static void cont_or_ask_nodes(struct vm *vm)
{
	if (!vm_has_locks(vm) || !(vm->state.deactivated || vm->state.deactivating))
		send_cont(vm);
	else
		monitor_call(vm, &(struct monitor_call){ .command = "query-named-block-nodes",
					 .arguments = json_pack("{s:b}", "flat", 1),
					 .fd = -1,
					 .fn = on_nodes_before_cont,
					 .data = vm });
}

/*
 * What is new to QEMU and could not be given back (its state could not be saved,
 * or the VM never gives any back) waits here still held, and must not run unseen.
 */
static void new_failed(struct vm *vm, int result, const char *words)
{
	struct error err = { 0 };

	error_set(&err, result, "%s", words);
	refusal_note(vm, result == -EBUSY ? LOCK_BUSY : result, NULL, &err);
	vm_set_text(&vm->state.held_because, words);
	vm_post(vm, SUP_EV_CONT_FAILED);
}

static void on_new_checked(struct vm *vm, int result, const char *words)
{
	if (vm->sup != SUP_RESUMING)
		return;
	if (result != 0) {
		new_failed(vm, result, words);
		return;
	}
	vm->unchecked = vm->awaits_machine; /* no machine yet: what it has open is not all */
	cont_or_ask_nodes(vm);
}

static void on_new_planted(void *data, int result, const char *words)
{
	struct vm *vm = data;

	if (vm->sup != SUP_RESUMING)
		return;
	if (result != 0)
		new_failed(vm, result, words);
	else
		graph_check(vm, on_new_checked);
}

static int run_verify(struct locks_job *job, struct error *err)
{
	int ret = domain_lock_verify(job->vm->domain, err);

	if (ret == 0)
		job->lines_result = life_lines_copy(job->vm->domain, &job->images, &job->lines);
	return ret;
}

static void done_verify(struct locks_job *job, int result, const struct error *err)
{
	struct vm *vm = job->vm;

	if (vm->sup != SUP_RESUMING)
		return;
	if (result == LOCK_LOST) {
		log_error("%s", err->text);
		vm_set_cause(vm, CAUSE_LOCK_LOST, err->text);
		vm_post(vm, SUP_EV_LOCK_LOST);
	} else if (result != 0) {
		cont_failed(vm, -EIO, err->text);
	} else if (!vm->unchecked) {
		cont_or_ask_nodes(vm);
	} else if (job->lines_result < 0) {
		on_new_planted(vm, job->lines_result, strerror(-job->lines_result));
	} else {
		plant(vm, &job->images, &job->lines, on_new_planted, vm);
	}
}

void locks_cont(struct vm *vm)
{
	struct locks_job job = { .vm = vm, .run = run_verify, .done = done_verify };

	vm->refusal = (struct error){ 0 };
	vm->refusal_outcome = 0;
	if ((vm->unchecked && plant_missing(vm, &vm->state.resources, &job.images) < 0) ||
		locks_job_submit(&job) < 0) {
		resource_set_finish(&job.images);
		cont_failed(vm, -ENOMEM, "out of memory");
	}
}
