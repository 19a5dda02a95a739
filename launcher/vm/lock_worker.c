/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/lock_worker.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define STACK_SIZE (256 * 1024)

struct queued {
	struct lock_job job;
	struct lock_worker *worker;
	struct queued *next;
	uv_timer_t deadline;
	bool has_deadline;
	int result;
	struct error error;
};

struct lock_worker {
	uv_loop_t *loop;
	uv_async_t wake; /* the thread has finished something */
	pthread_mutex_t mutex;
	pthread_cond_t more;
	struct queued *waiting; /* in order; the first is the one that runs */
	struct queued *finished;
	bool started;
};

static struct queued **queue_end(struct queued **queue)
{
	while (*queue)
		queue = &(*queue)->next;
	return queue;
}

static void *worker_thread(void *data)
{
	struct lock_worker *worker = data;

	pthread_mutex_lock(&worker->mutex);
	for (;;) {
		struct queued *queued;

		while (!worker->waiting)
			pthread_cond_wait(&worker->more, &worker->mutex);
		queued = worker->waiting;
		worker->waiting = queued->next;
		queued->next = NULL;
		pthread_mutex_unlock(&worker->mutex);
		queued->result = queued->job.run(queued->job.data, &queued->error);
		pthread_mutex_lock(&worker->mutex);
		*queue_end(&worker->finished) = queued;
		uv_async_send(&worker->wake);
	}
	return NULL;
}

static void queued_free(uv_handle_t *handle)
{
	free(handle->data);
}

static void queued_end(struct queued *queued)
{
	queued->job.done(queued->job.data, queued->result, &queued->error);
	if (queued->has_deadline)
		uv_close((uv_handle_t *)&queued->deadline, queued_free);
	else
		free(queued);
}

static void on_wake(uv_async_t *wake)
{
	struct lock_worker *worker = wake->data;
	struct queued *finished;

	pthread_mutex_lock(&worker->mutex);
	finished = worker->finished;
	worker->finished = NULL;
	pthread_mutex_unlock(&worker->mutex);
	while (finished) {
		struct queued *queued = finished;

		finished = queued->next;
		queued_end(queued);
	}
}

static void on_deadline(uv_timer_t *timer)
{
	struct queued *queued = timer->data;

	if (queued->job.late)
		queued->job.late(queued->job.data);
}

int lock_worker_new(uv_loop_t *loop, struct lock_worker **ret, struct error *err)
{
	struct lock_worker *worker = calloc(1, sizeof(*worker));
	int code;

	if (!worker)
		return error_set(err, -ENOMEM, "out of memory");
	worker->loop = loop;
	worker->wake.data = worker;
	pthread_mutex_init(&worker->mutex, NULL);
	pthread_cond_init(&worker->more, NULL);
	code = uv_async_init(loop, &worker->wake, on_wake);
	if (code < 0) {
		free(worker);
		return error_set(err, code, "set up the lock thread: %s", uv_strerror(code));
	}
	uv_unref((uv_handle_t *)&worker->wake);
	*ret = worker;
	return 0;
}

/* All signals stay with the loop's thread, which has them blocked for its signalfd. */
static int worker_start(struct lock_worker *worker, struct error *err)
{
	pthread_attr_t attributes;
	pthread_t thread;
	int code;

	pthread_attr_init(&attributes);
	pthread_attr_setstacksize(&attributes, STACK_SIZE);
	pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
	code = pthread_create(&thread, &attributes, worker_thread, worker);
	pthread_attr_destroy(&attributes);
	if (code != 0)
		return error_set(err, -code, "start the lock thread: %s", strerror(code));
	worker->started = true;
	return 0;
}

int lock_worker_submit(struct lock_worker *worker, const struct lock_job *job, struct error *err)
{
	_cleanup_(freep) struct queued *queued = calloc(1, sizeof(*queued));
	int ret;

	if (!queued)
		return error_set(err, -ENOMEM, "out of memory");
	if (!worker->started) {
		ret = worker_start(worker, err);
		if (ret < 0)
			return ret;
	}
	queued->job = *job;
	queued->worker = worker;
	if (job->deadline_ms) {
		uv_timer_init(worker->loop, &queued->deadline);
		uv_unref((uv_handle_t *)&queued->deadline);
		queued->deadline.data = queued;
		queued->has_deadline = true;
		uv_timer_start(&queued->deadline, on_deadline, job->deadline_ms, 0);
	}
	pthread_mutex_lock(&worker->mutex);
	*queue_end(&worker->waiting) = queued;
	pthread_cond_signal(&worker->more);
	pthread_mutex_unlock(&worker->mutex);
	take_ptr(queued);
	return 0;
}
