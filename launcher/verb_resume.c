/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "launcher/verbs.h"
#include "launcher/vm_select.h"

/* Lock calls have deadlines of the supervisor's own; this is longer than those. */
#define ACQUIRE_TIMEOUT_MS 120000
/* How long QEMU may take from cont's answer to a running guest. */
#define RUNNING_TIMEOUT_MS 10000

/* 1: the guest runs, 0: not yet. */
static int ask_running(struct control_client *client, struct error *err)
{
	int ret = control_client_call(client, "query-status", NULL, err);

	if (ret > 0)
		return error_status(
			err, error_set(err, -EPROTO, "query-status was refused"), EX_UNAVAILABLE);
	return ret < 0 ? ret : json_is_true(json_object_get(client->reply, "running"));
}

/* cont was answered: the event that follows (RESUME) ends each wait. */
static int wait_until_running(struct control_client *client, struct error *err)
{
	int64_t deadline = clock_monotonic_ms() + RUNNING_TIMEOUT_MS;
	int ret;

	for (;;) {
		int64_t left = deadline - clock_monotonic_ms();

		ret = ask_running(client, err);
		if (ret)
			return ret < 0 ? ret : 0;
		if (left <= 0)
			break;
		ret = control_client_pump(client, left, err);
		if (ret < 0)
			return ret;
	}
	return error_status(err,
		error_set(
			err, -ETIMEDOUT, "the guest does not run yet, although QEMU accepted cont"),
		EX_UNAVAILABLE);
}

static int resume_one(const struct vm_job *job, void *data)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	struct error err = { 0 };
	int ret;

	(void)data;
	client.timeout_ms = ACQUIRE_TIMEOUT_MS;
	ret = vm_job_connect(job, &client, &err);
	if (ret == 0)
		ret = control_client_call(&client, "vmlatch-acquire",
			json_pack("{s:b}", "force-stale", job->args->force_stale), &err);
	if (ret == 0)
		ret = control_client_call(&client, "cont", NULL, &err);
	if (ret == 0)
		ret = wait_until_running(&client, &err);
	return ret ? vm_job_failure(ret, &client, &err) : 0;
}

int verb_resume(char **argv)
{
	return vm_verb(argv, SIZE_MAX, resume_one);
}
