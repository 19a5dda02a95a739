/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/vm/locks.h"
#include "launcher/vm/locks_job.h"
#include "launcher/vm/loss.h"
#include "launcher/vm/refusal.h"

/* The lock calls that somebody waits for: attach, detach, inquire, the end. */

/* What the VM has now; and while it is released, the saved state that says so. */
static int take_stock(struct locks_job *job, struct error *err)
{
	struct domain_lock *domain = job->vm->domain;
	int ret = resource_set_copy(&job->resources, domain_lock_resources(domain));

	if (ret == 0 && domain_lock_state(domain) == DOMAIN_LOCK_RELEASED)
		ret = domain_lock_process_inquire(domain, &job->text, err);
	return ret;
}

static void note_stock(struct locks_job *job)
{
	struct vm *vm = job->vm;

	resource_set_finish(&vm->state.resources);
	vm->state.resources = job->resources;
	job->resources = (struct resource_set){ 0 };
	if (job->text)
		vm_set_text(&vm->state.lock_text, job->text);
	vm_save_state(vm);
}

/* Detach. */

static int run_detach(struct locks_job *job, struct error *err)
{
	int ret = domain_lock_disk_detach(job->vm->domain, &job->images, err);

	return ret < 0 ? ret : take_stock(job, err);
}

static void done_detach(struct locks_job *job, int result, const struct error *err)
{
	size_t i;

	if (result == 0)
		note_stock(job);
	for (i = 0; result == 0 && i < job->images.n; i++)
		plant_forget(job->vm, &job->images.items[i]);
	locks_job_answer(job, result, err->text);
}

void locks_detach(struct vm *vm, const struct resource_set *images, locks_fn fn, void *data)
{
	struct locks_job job = {
		.vm = vm, .run = run_detach, .done = done_detach, .fn = fn, .data = data
	};

	if (resource_set_copy(&job.images, images) < 0)
		locks_job_answer(&job, -ENOMEM, "out of memory");
	else
		locks_job_submit_or_fail(&job);
}

/* Attach; what is new is planted in QEMU before the caller hears of it. */

/*
 * Those that the VM does not have yet: undoing takes away these, and never what
 * the guest has had all along. 0 or -ENOMEM.
 */
static int find_new(
	const struct resource_set *had, const struct resource_set *images, struct resource_set *ret)
{
	size_t i;
	int code = 0;

	for (i = 0; code == 0 && i < images->n; i++) {
		if (!resource_set_find(had, &images->items[i]))
			code = resource_set_add(ret, &images->items[i], NULL);
	}
	return code;
}

/* Copy what QEMU is to have, and make job->images those that it is of. */
static int copy_lines(struct locks_job *job)
{
	struct domain_lock *domain = job->vm->domain;
	const struct resource_set *all = domain_lock_resources(domain);
	struct resource_set named = job->images;
	const struct resource *member;
	size_t i;
	int ret = 0;

	job->images = (struct resource_set){ 0 };
	for (i = 0; ret == 0 && i < named.n; i++) {
		/* none: it was another name of one that has it now */
		member = resource_set_find(all, &named.items[i]);
		if (member)
			ret = resource_set_add(&job->images, member, NULL);
	}
	resource_set_finish(&named);
	if (ret == 0)
		ret = plant_add_reopened(domain, &job->images);
	return ret < 0 ? ret : life_lines_copy(domain, &job->images, &job->lines);
}

static int run_attach(struct locks_job *job, struct error *err)
{
	_cleanup_(resource_set_finish) struct resource_set added = { 0 };
	struct domain_lock *domain = job->vm->domain;
	int ret = find_new(domain_lock_resources(domain), &job->images, &added);

	if (ret < 0)
		return error_set(err, ret, "out of memory");
	ret = domain_lock_disk_attach(domain, &job->images, &job->conflict, err);
	job->lost_fd = domain_lock_lost_fd(domain);
	if (ret != 0)
		return ret;
	ret = take_stock(job, err);
	if (ret == 0 && domain_lock_state(domain) == DOMAIN_LOCK_HELD) {
		ret = copy_lines(job);
		if (ret < 0)
			error_set(err, ret, "copy the lock for QEMU: %s", strerror(-ret));
	}
	if (ret < 0)
		domain_lock_disk_detach(domain, &added, NULL);
	return ret;
}

struct attaching {
	struct vm *vm;
	struct resource_set images;
	struct resource_set added; /* those that the VM did not have before */
	locks_fn fn;
	void *data;
};

static void attaching_free(struct attaching *attaching)
{
	resource_set_finish(&attaching->images);
	resource_set_finish(&attaching->added);
	free(attaching);
}

static void on_planted(void *data, int result, const char *words)
{
	struct attaching *attaching = data;
	struct locks_result outcome = { .code = result, .words = words };

	if (result != 0) { /* a lock that does not live as long as QEMU is none */
		log_warning("cannot plant a lock in QEMU: %s", words);
		/* of what it had before, another name's lock file: the next resume tries again */
		plant_note_missing(attaching->vm, &attaching->images);
		attaching->vm->unchecked = true;
		locks_detach(attaching->vm, &attaching->added, NULL, NULL);
	}
	attaching->fn(attaching->data, &outcome);
	attaching_free(attaching);
}

static void done_attach(struct locks_job *job, int result, const struct error *err)
{
	struct attaching *attaching;
	struct error words = *err;

	if (result != 0) {
		if (result == LOCK_BUSY)
			refusal_sentence(job->vm->rundir, &job->conflict, &words);
		locks_job_answer(job, result, words.text);
		return;
	}
	loss_watch(job->vm, job->lost_fd);
	attaching = calloc(1, sizeof(*attaching));
	if (!attaching ||
		find_new(&job->vm->state.resources, &job->images, &attaching->added) < 0) {
		if (attaching)
			attaching_free(attaching);
		note_stock(job);
		locks_job_answer(
			job, -ENOMEM, "out of memory: locked, but not for as long as QEMU lives");
		return;
	}
	note_stock(job);
	attaching->vm = job->vm;
	attaching->images = job->images;
	attaching->fn = job->fn;
	attaching->data = job->data;
	job->images = (struct resource_set){ 0 };
	plant(job->vm, &attaching->images, &job->lines, on_planted, attaching);
}

void locks_attach(struct vm *vm, const struct resource_set *images, locks_fn fn, void *data)
{
	struct locks_job job = {
		.vm = vm, .run = run_attach, .done = done_attach, .fn = fn, .data = data
	};

	if (resource_set_copy(&job.images, images) < 0)
		locks_job_answer(&job, -ENOMEM, "out of memory");
	else
		locks_job_submit_or_fail(&job);
}

/* Inquire. */

static int run_inquire(struct locks_job *job, struct error *err)
{
	return domain_lock_process_inquire(job->vm->domain, &job->text, err);
}

static void done_inquire(struct locks_job *job, int result, const struct error *err)
{
	locks_job_answer(job, result, err->text);
}

void locks_inquire(struct vm *vm, locks_fn fn, void *data)
{
	struct locks_job job = {
		.vm = vm, .run = run_inquire, .done = done_inquire, .fn = fn, .data = data
	};

	locks_job_submit_or_fail(&job);
}

/* A QEMU that has daemonized. */

static int run_set_process(struct locks_job *job, struct error *err)
{
	(void)err;
	domain_lock_set_process(job->vm->domain, job->pid, job->start_time);
	return 0;
}

static void done_set_process(struct locks_job *job, int result, const struct error *err)
{
	(void)job, (void)result, (void)err;
}

void locks_set_process(struct vm *vm)
{
	struct locks_job job = {
		.vm = vm,
		.run = run_set_process,
		.done = done_set_process,
		.pid = vm->child.pid,
		.start_time = vm->child.start_time,
	};

	locks_job_submit_or_fail(&job);
}
