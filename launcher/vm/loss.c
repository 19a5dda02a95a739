/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/loss.h"

#include "base/log.h"
#include "launcher/vm/locks_job.h"

static void wait_for_news(struct vm *vm);

static int run_verify(struct locks_job *job, struct error *err)
{
	return domain_lock_verify(job->vm->domain, err);
}

static void done_verify(struct locks_job *job, int result, const struct error *err)
{
	struct vm *vm = job->vm;

	/* what cannot be looked at is looked at again before the next 'cont' */
	if (result == LOCK_LOST && supervisor_state_is_held(vm->sup)) {
		log_error("%s", err->text);
		vm_set_cause(vm, CAUSE_LOCK_LOST, err->text);
		vm_post(vm, SUP_EV_LOCK_LOST);
	} else {
		wait_for_news(vm);
	}
}

static void on_news(uv_poll_t *poll, int status, int events)
{
	struct vm *vm = poll->data;
	struct locks_job job = { .vm = vm, .run = run_verify, .done = done_verify };

	(void)status, (void)events;
	uv_poll_stop(poll); /* until the verify has read it */
	if (locks_job_submit(&job) < 0)
		log_error("whether a lock is lost is not known: out of memory");
}

static void wait_for_news(struct vm *vm)
{
	uv_poll_start(&vm->loss, UV_READABLE, on_news);
}

void loss_watch(struct vm *vm, int lost_fd)
{
	if (lost_fd < 0 || vm->lost_fd >= 0)
		return;
	if (uv_poll_init(&vm->loop, &vm->loss, lost_fd) < 0) {
		log_warning("a loss of its locks is noticed only when it goes on");
		return;
	}
	vm->lost_fd = lost_fd;
	vm->loss.data = vm;
	wait_for_news(vm);
}
