/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "launcher/verbs.h"
#include "launcher/vm_select.h"

/* What a drain on slow storage may take; the supervisor goes on after it. */
#define RELEASE_TIMEOUT_MS 120000

/* Both calls are idempotent: a VM that is paused and released already stays so. */
static int pause_one(const struct vm_job *job, void *data)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	struct error err = { 0 };
	int ret;

	(void)data;
	client.timeout_ms = RELEASE_TIMEOUT_MS;
	ret = vm_job_connect(job, &client, &err);
	if (ret == 0)
		ret = control_client_call(&client, "stop", NULL, &err);
	if (ret == 0) {
		ret = control_client_call(&client, "vmlatch-release", NULL, &err);
		if (ret > 0)
			error_prefix(&err, ret, "the guest is stopped, its locks stay");
	}
	return ret ? vm_job_failure(ret, &client, &err) : 0;
}

int verb_pause(char **argv)
{
	return vm_verb(argv, SIZE_MAX, pause_one);
}
