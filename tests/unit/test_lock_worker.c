/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <semaphore.h>
#include <stdbool.h>
#include <string.h>

#include "launcher/vm/lock_worker.h"

static uv_loop_t loop;
static struct lock_worker *worker;

/* One job, and what has become of it. */
struct call {
	int result;      /* that run() shall have */
	bool gated;      /* run() waits for the gate */
	int order;       /* in which done() came */
	bool done, late; /* came */
	bool late_first;
	int got;
};

static sem_t gate;
static int n_done;

static int run(void *data, struct error *err)
{
	struct call *call = data;

	if (call->gated)
		sem_wait(&gate);
	return call->result < 0 ? error_set(err, call->result, "words of %d", call->result)
				: call->result;
}

static void done(void *data, int result, const struct error *err)
{
	struct call *call = data;

	assert_false(call->done);
	call->done = true;
	call->late_first = call->late;
	call->got = result;
	call->order = ++n_done;
	if (result < 0)
		assert_non_null(strstr(err->text, "words of"));
}

static void late(void *data)
{
	struct call *call = data;

	assert_false(call->late);
	call->late = true;
	sem_post(&gate);
}

static void submit(struct call *call, uint64_t deadline_ms)
{
	struct lock_job job = { run, done, late, call, deadline_ms };

	assert_int_equal(lock_worker_submit(worker, &job, NULL), 0);
}

/* The worker keeps no loop alive: a timer does, as long as somebody waits. */
static void on_tick(uv_timer_t *timer)
{
	(void)timer;
}

static void run_until_done(struct call *calls, size_t n)
{
	uv_timer_t tick;
	size_t i;

	uv_timer_init(&loop, &tick);
	uv_timer_start(&tick, on_tick, 1, 1);
	for (i = 0; i < n; i++) {
		while (!calls[i].done)
			uv_run(&loop, UV_RUN_ONCE);
	}
	uv_close((uv_handle_t *)&tick, NULL);
	uv_run(&loop, UV_RUN_NOWAIT);
}

static void jobs_come_back_in_order_with_their_results(void **state)
{
	struct call calls[] = { { .result = 0 }, { .result = 1 }, { .result = -EIO } };

	(void)state;
	n_done = 0;
	for (size_t i = 0; i < 3; i++)
		submit(&calls[i], 0);
	run_until_done(calls, 3);
	for (size_t i = 0; i < 3; i++) {
		assert_int_equal(calls[i].got, calls[i].result);
		assert_int_equal(calls[i].order, i + 1);
		assert_false(calls[i].late);
	}
}

static void a_job_past_its_deadline_is_told_late_and_still_done(void **state)
{
	struct call calls[] = { { .gated = true }, { .result = 1 } };

	(void)state;
	submit(&calls[0], 20); /* late() opens the gate */
	submit(&calls[1], 0);
	run_until_done(calls, 2);
	assert_true(calls[0].late_first);
	assert_int_equal(calls[0].got, 0);
	assert_false(calls[1].late);
}

static void a_job_in_time_is_never_late(void **state)
{
	struct call calls[] = { { .result = 0 } };

	(void)state;
	submit(&calls[0], 60 * 1000);
	run_until_done(calls, 1);
	assert_false(calls[0].late);
}

static void the_deadline_counts_while_a_job_waits_for_its_turn(void **state)
{
	struct call calls[] = { { .gated = true }, { .result = 1 } };

	(void)state;
	submit(&calls[0], 0);
	submit(&calls[1], 20); /* its late() opens the gate of the first */
	run_until_done(calls, 2);
	assert_false(calls[0].late);
	assert_true(calls[1].late_first);
}

static int set_up(void **state)
{
	(void)state;
	sem_init(&gate, 0, 0);
	return uv_loop_init(&loop) || lock_worker_new(&loop, &worker, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(jobs_come_back_in_order_with_their_results),
		cmocka_unit_test(a_job_past_its_deadline_is_told_late_and_still_done),
		cmocka_unit_test(a_job_in_time_is_never_late),
		cmocka_unit_test(the_deadline_counts_while_a_job_waits_for_its_turn),
	};

	/* the thread is never joined: the process ends under it */
	return cmocka_run_group_tests(tests, set_up, NULL);
}
