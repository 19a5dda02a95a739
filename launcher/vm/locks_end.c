/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>

#include "base/log.h"
#include "launcher/vm/locks_job.h"

#define END_DEADLINE_MS 10000

/* QEMU is dead, nothing needs saving. */

static int run_end(struct locks_job *job, struct error *err)
{
	int ret = domain_lock_process_inquire(job->vm->domain, &job->text, err);

	return ret < 0 ? ret : domain_lock_process_pause(job->vm->domain, job->text, err);
}

static void done_end(struct locks_job *job, int result, const struct error *err)
{
	if (result != 0)
		log_warning("giving the locks back: %s", err->text);
	locks_job_answer(job, result, err->text);
}

static void late_end(struct locks_job *job)
{
	log_warning("giving the locks back takes too long: they end with this process");
	locks_job_answer(job, -ETIMEDOUT, "");
}

void locks_end(struct vm *vm, locks_fn fn, void *data)
{
	struct locks_job job = {
		.vm = vm,
		.run = run_end,
		.done = done_end,
		.late = late_end,
		.deadline_ms = END_DEADLINE_MS,
		.fn = fn,
		.data = data,
	};

	locks_job_submit_or_fail(&job);
}
