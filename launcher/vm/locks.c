/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/locks.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/vm/graph.h"
#include "launcher/vm/locks_job.h"
#include "launcher/vm/loss.h"
#include "launcher/vm/refusal.h"

/* Past this taking the locks counts as failed, whatever comes of it later. */
#define LOCK_DEADLINE_MS 30000

/* Inquire, with the stamps of now. */

static int run_inquire(struct locks_job *job, struct error *err)
{
	if (job->unused)
		return domain_lock_process_inquire_unused(job->vm->domain, &job->text, err);
	return domain_lock_process_inquire(job->vm->domain, &job->text, err);
}

static void done_save(struct locks_job *job, int result, const struct error *err)
{
	_cleanup_(freep) char *before = NULL;
	struct vm *vm = job->vm;

	if (job->token != vm->lock_token)
		return; /* the guest runs again */
	if (result != 0) {
		vm_set_text(&vm->state.held_because, err->text);
		vm_post(vm, SUP_EV_SAVE_FAILED);
		return;
	}
	if (vm->state.pinned.n) { /* the monitor broke meanwhile */
		vm_set_text(&vm->state.held_because, vm->state.pinned.items[0]);
		vm_post(vm, SUP_EV_SAVE_FAILED);
		return;
	}
	before = vm->state.lock_text;
	vm->state.lock_text = take_ptr(job->text);
	if (vm_save_state(vm) < 0) {
		free(vm->state.lock_text);
		vm->state.lock_text = take_ptr(before);
		vm_set_text(&vm->state.held_because, "state.json cannot be written");
		vm_post(vm, SUP_EV_SAVE_FAILED);
		return;
	}
	vm_post(vm, SUP_EV_SAVED);
}

void locks_save(struct vm *vm)
{
	struct locks_job job = { .vm = vm, .run = run_inquire, .done = done_save };

	job.token = ++vm->lock_token;
	job.unused = vm->undone;
	if (locks_job_submit(&job) < 0)
		vm_post(vm, SUP_EV_SAVE_FAILED);
}

/* Give back. */

static int run_unlock(struct locks_job *job, struct error *err)
{
	return domain_lock_process_pause(job->vm->domain, job->text, err);
}

static void done_unlock(struct locks_job *job, int result, const struct error *err)
{
	if (result < 0)
		vm_set_text(&job->vm->state.held_because, err->text);
	if (result == 0)
		job->vm->undone = false;
	if (result == LOCK_CHANGED) /* an attach or a detach was queued before us */
		vm_post(job->vm, SUP_EV_OUTGROWN);
	else
		vm_post(job->vm, result == 0 ? SUP_EV_UNLOCKED : SUP_EV_UNLOCK_FAILED);
}

void locks_unlock(struct vm *vm)
{
	struct locks_job job = { .vm = vm, .run = run_unlock, .done = done_unlock };

	/* what stands in state.json, and nothing newer: there it outlives us */
	job.text = strdup(vm->state.lock_text);
	if (!job.text || locks_job_submit(&job) < 0) {
		free(job.text);
		vm_set_text(&vm->state.held_because, "out of memory");
		vm_post(vm, SUP_EV_UNLOCK_FAILED);
	}
}

/* Take again. */

static int run_lock(struct locks_job *job, struct error *err)
{
	int ret;

	ret = domain_lock_process_resume(job->vm->domain, job->force_stale, &job->conflict, err);
	if (ret != 0)
		return ret;
	job->lost_fd = domain_lock_lost_fd(job->vm->domain);
	job->lines_result = plant_add_reopened(job->vm->domain, &job->images);
	if (job->lines_result == 0)
		job->lines_result = life_lines_copy(job->vm->domain, &job->images, &job->lines);
	return 0;
}

/*
 * Held now, and no good: given back in one step, before anybody who waits has a
 * turn. It is armed, so newer than what was saved: the table saves it first.
 */
static void give_back_unfit(struct vm *vm, int result, const char *words)
{
	struct error err = { 0 };

	error_set(&err, result, "%s", words);
	refusal_note(vm, result, NULL, &err);
	vm_set_text(&vm->state.held_because, NULL);
	vm->undone = true;
	vm_post(vm, SUP_EV_UNFIT);
}

static void on_new_checked(struct vm *vm, int result, const char *words)
{
	bool in_use = result == LOCK_BUSY || result == -EBUSY;

	if (result == 0) {
		vm->unchecked = vm->awaits_machine;
		if (vm->sup == SUP_CHECKING) {
			vm_set_text(&vm->state.held_because, NULL);
			vm_post(vm, SUP_EV_ACQUIRED);
		}
	} else if (vm->sup == SUP_CHECKING) {
		give_back_unfit(vm, result, words);
	} else if (in_use && supervisor_state_is_held(vm->sup)) { /* resumed behind our back */
		log_error("%s", words);
		vm_set_cause(vm, CAUSE_LOCK_LOST, words);
		vm_post(vm, SUP_EV_LOCK_LOST);
	} else if (supervisor_state_is_held(vm->sup)) {
		vm_pin(vm, words); /* it runs, and what it has open is not known */
	}
}

/* A migration's target holds its locks for the first time, or something was attached meanwhile. */
static void on_new_planted(void *data, int result, const char *words)
{
	struct vm *vm = data;

	if (result == 0)
		graph_check(vm, on_new_checked);
	else if (vm->sup == SUP_CHECKING) /* a lock that does not live as long as QEMU is none */
		give_back_unfit(vm, result, words);
	else if (supervisor_state_is_held(vm->sup))
		vm_pin(vm, words);
}

static void plant_new(struct locks_job *job)
{
	struct vm *vm = job->vm;

	if (vm->sup == SUP_CHECKING) { /* for as long as QEMU does not answer */
		vm_set_text(&vm->state.held_because,
			"QEMU has not said yet that it has the locks which are new to it");
		vm_save_state(vm);
	}
	if (job->lines_result < 0)
		on_new_planted(job->vm, job->lines_result, strerror(-job->lines_result));
	else
		plant(job->vm, &job->images, &job->lines, on_new_planted, job->vm);
}

static void done_lock(struct locks_job *job, int result, const struct error *err)
{
	struct vm *vm = job->vm;

	uv_timer_stop(&vm->lock_deadline);
	vm->unchecked |= job->lines.n > 0 || job->lines_result < 0;
	if (result != 0) {
		refusal_note(vm, result, &job->conflict, err);
		vm_post(vm, SUP_EV_REFUSED);
		return;
	}
	plant_note_missing(vm, &job->images);
	vm->undone = vm->sup == SUP_UNDOING;
	loss_watch(vm, job->lost_fd);
	vm_post(vm, vm->unchecked ? SUP_EV_ACQUIRED_NEW : SUP_EV_ACQUIRED);
	if (vm->unchecked && (vm->sup == SUP_CHECKING || vm->sup == SUP_RUNNING))
		plant_new(job);
}

static void on_lock_late(uv_timer_t *timer)
{
	struct vm *vm = timer->data;
	struct error err = { 0 };

	error_set(&err, -ETIMEDOUT,
		"the lock call has not ended after %d s: the file system or the "
		"lock daemon does not answer",
		LOCK_DEADLINE_MS / 1000);
	refusal_note(vm, -ETIMEDOUT, NULL, &err);
	vm_post(vm, SUP_EV_ACQUIRE_LATE);
}

void locks_await(struct vm *vm)
{
	vm->refusal = (struct error){ 0 };
	vm->refusal_outcome = 0;
	uv_timer_start(&vm->lock_deadline, on_lock_late, LOCK_DEADLINE_MS, 0);
}

void locks_lock(struct vm *vm)
{
	struct locks_job job = {
		.vm = vm,
		.run = run_lock,
		.done = done_lock,
		.force_stale = vm->force_stale,
	};

	vm->forced_now = vm->force_stale;
	if (vm->force_stale)
		log_warning("resumed by force: nobody checks whether somebody else has written to "
			    "its disks meanwhile");
	locks_await(vm);
	if (plant_missing(vm, &vm->state.resources, &job.images) < 0 ||
		locks_job_submit(&job) < 0) {
		resource_set_finish(&job.images);
		uv_timer_stop(&vm->lock_deadline);
		refusal_note(vm, -ENOMEM, NULL, &(struct error){ .text = "out of memory" });
		vm_post(vm, SUP_EV_REFUSED);
	}
}
