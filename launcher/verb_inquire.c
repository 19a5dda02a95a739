/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "base/cleanup.h"
#include "launcher/exit_status.h"
#include "launcher/json_text.h"
#include "launcher/verbs.h"
#include "launcher/vm_select.h"

static int inquire_one(const struct vm_job *job, void *data)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	_cleanup_(freep) char *text = NULL;
	struct error err = { 0 };
	int ret;

	(void)data;
	ret = vm_job_connect(job, &client, &err);
	if (ret == 0)
		ret = control_client_call(&client, "vmlatch-inquire", NULL, &err);
	if (ret)
		return vm_job_failure(ret, &client, &err);
	text = json_text_dump(client.reply);
	if (!text)
		return EX_OSERR;
	puts(text);
	return 0;
}

int verb_inquire(char **argv)
{
	return vm_verb(argv, SIZE_MAX, inquire_one);
}
