/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/loss.h"

#include "base/log.h"
#include "launcher/vm/locks_job.h"

/* While it cannot be told there is no other event: it may have gone. */
#define AGAIN_FIRST_MS 1000
#define AGAIN_LAST_MS  60000

static void wait_for_news(struct vm *vm);
static void look_again(uv_timer_t *timer);

static void look_later(struct vm *vm, const char *why)
{
	uint64_t wait_ms = vm->loss_wait_ms * 2;

	vm->loss_looks = false;
	if (!vm->loss_wait_ms)
		log_warning("%s; it is looked at again until that is known", why);
	if (!wait_ms)
		wait_ms = AGAIN_FIRST_MS;
	vm->loss_wait_ms = wait_ms < AGAIN_LAST_MS ? wait_ms : AGAIN_LAST_MS;
	uv_timer_start(&vm->loss_again, look_again, vm->loss_wait_ms, 0);
	wait_for_news(vm);
}

static int run_verify(struct locks_job *job, struct error *err)
{
	return domain_lock_verify(job->vm->domain, err);
}

/* Told to end, it may take its time, and until then it writes. */
static bool is_held(const struct vm *vm)
{
	if (vm->sup == SUP_ENDING)
		return vm->state.lock_state == VM_LOCK_HELD;
	return supervisor_state_is_held(vm->sup);
}

static void done_verify(struct locks_job *job, int result, const struct error *err)
{
	struct vm *vm = job->vm;

	vm->loss_looks = false;
	if (result == LOCK_LOST && is_held(vm)) {
		log_error("%s", err->text);
		vm_set_cause(vm, CAUSE_LOCK_LOST, err->text);
		vm_post(vm, SUP_EV_LOCK_LOST);
	} else if (result < 0 && is_held(vm)) {
		look_later(vm, err->text);
	} else { /* what is not held now is looked at before the next 'cont' */
		if (result == 0 && vm->loss_wait_ms)
			log_notice("it could be looked at: its locks are still ours");
		vm->loss_wait_ms = 0;
		wait_for_news(vm);
	}
}

static void look(struct vm *vm)
{
	struct locks_job job = { .vm = vm, .run = run_verify, .done = done_verify };

	if (vm->lost_fd >= 0)
		uv_poll_stop(&vm->loss); /* until the verify has read it */
	uv_timer_stop(&vm->loss_again);
	vm->loss_looks = true;
	if (locks_job_submit(&job) < 0)
		look_later(vm, "whether a lock is lost is not known: out of memory");
}

void loss_look(struct vm *vm)
{
	/* a start is looked at before 'cont'; a look that was not possible has its own pace */
	if (vm->sup == SUP_BOOTING || vm->loss_looks || vm->loss_wait_ms)
		return;
	if (vm_has_locks(vm) && is_held(vm))
		look(vm);
}

static void look_again(uv_timer_t *timer)
{
	look(timer->data);
}

static void on_news(uv_poll_t *poll, int status, int events)
{
	(void)status, (void)events;
	look(poll->data);
}

static void wait_for_news(struct vm *vm)
{
	if (vm->lost_fd >= 0)
		uv_poll_start(&vm->loss, UV_READABLE, on_news);
}

void loss_init(struct vm *vm)
{
	uv_timer_init(&vm->loop, &vm->loss_again);
	vm->loss_again.data = vm;
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
