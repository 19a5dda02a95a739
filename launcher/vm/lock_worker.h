/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <uv.h>

#include "base/error.h"

/*
 * The one thread that makes lock calls. They may hang (a network file system,
 * a daemon that is gone), the event loop may not. Jobs run one at a time, in
 * order. Each has a deadline: when it passes, late() is told at once, and
 * done() still comes if the call ever ends, so that a late success can be
 * undone. The thread is started with the first job.
 *
 * It is never joined: a call that hangs would hang the exit too. Leave by _exit().
 */
struct lock_worker;

struct lock_job {
	/* on the thread; the job is its own until it returns */
	int (*run)(void *data, struct error *err);
	/* on the loop, once for each job. @result: what run() returned; @err: its words */
	void (*done)(void *data, int result, const struct error *err);
	/* on the loop, before done(); NULL: nobody minds */
	void (*late)(void *data);
	void *data;
	uint64_t deadline_ms; /* from the submission; 0: none */
};

int lock_worker_new(uv_loop_t *loop, struct lock_worker **ret, struct error *err);

/* Queue a copy of @job. 0 or -errno with a sentence; then nothing will be called. */
int lock_worker_submit(struct lock_worker *worker, const struct lock_job *job, struct error *err);
