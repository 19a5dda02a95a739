/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>

#include "fault_each.h"
#include "launcher/vm/lock_worker.h"
#include "wire.h"

/* Workers have no end of their own (see lock_worker.h): all on one loop, kept to the end. */
static uv_loop_t loop;
static uv_prepare_t alive;
static struct lock_worker *workers[8];
static size_t n_workers;

struct errand {
	int result;
	int ran, done;
};

static int run(void *data, struct error *err)
{
	struct errand *errand = data;

	errand->ran++;
	return errand->result ? error_set(err, errand->result, "no such luck") : 0;
}

static void done(void *data, int result, const struct error *err)
{
	struct errand *errand = data;

	errand->done++;
	assert_int_equal(result, errand->result);
	assert_string_equal(err->text, result ? "no such luck" : "");
}

static int one_errand(struct error *err)
{
	struct errand errand = { .result = 1 };
	const struct lock_job job = { run, done, NULL, &errand, 60000 };
	struct lock_worker *worker;
	int ret = lock_worker_new(&loop, &worker, err);

	if (ret < 0)
		return ret;
	workers[n_workers++] = worker;
	ret = lock_worker_submit(worker, &job, err);
	if (ret == 0)
		RUN_UNTIL(&loop, errand.done);
	else
		uv_run(&loop, UV_RUN_NOWAIT);
	assert_int_equal(errand.ran, ret == 0);
	assert_int_equal(errand.done, ret == 0);
	return ret;
}

static void a_job_that_is_refused_is_never_run(void **state)
{
	(void)state;
	assert_int_equal(fault_each(one_errand), 3); /* the worker, the job, the thread */
}

static void on_prepare(uv_prepare_t *handle)
{
	(void)handle;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_job_that_is_refused_is_never_run),
	};

	/* workers do not keep a loop alive */
	if (uv_loop_init(&loop) < 0 || uv_prepare_init(&loop, &alive) < 0 ||
		uv_prepare_start(&alive, on_prepare) < 0)
		return 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
