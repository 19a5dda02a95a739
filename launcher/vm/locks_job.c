/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/locks_job.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"

static void job_free(struct locks_job *job)
{
	resource_set_finish(&job->images);
	resource_set_finish(&job->resources);
	life_lines_finish(&job->lines);
	free(job->text);
	free(job);
}

static int on_thread(void *data, struct error *err)
{
	struct locks_job *job = data;

	return job->run(job, err);
}

static void on_done(void *data, int result, const struct error *err)
{
	struct locks_job *job = data;

	job->done(job, result, err);
	job_free(job);
}

static void on_late(void *data)
{
	struct locks_job *job = data;

	job->late(job);
}

int locks_job_submit(const struct locks_job *job)
{
	_cleanup_(freep) struct locks_job *copy = calloc(1, sizeof(*copy));
	struct lock_job queued = { on_thread, on_done, job->late ? on_late : NULL, NULL,
		job->deadline_ms };
	struct error err = { 0 };
	int ret;

	if (!copy)
		return -ENOMEM;
	*copy = *job;
	queued.data = copy;
	ret = lock_worker_submit(job->vm->worker, &queued, &err);
	if (ret < 0) {
		log_error("%s", err.text);
		return ret;
	}
	take_ptr(copy);
	return 0;
}

void locks_job_answer(const struct locks_job *job, int code, const char *words)
{
	struct locks_result result = { .code = code, .words = words, .state = job->text };

	if (job->fn)
		job->fn(job->data, &result);
}

void locks_job_submit_or_fail(struct locks_job *job)
{
	if (locks_job_submit(job) == 0)
		return;
	locks_job_answer(job, -ENOMEM, "out of memory");
	resource_set_finish(&job->images);
}
