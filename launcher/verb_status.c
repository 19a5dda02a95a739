/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "base/cleanup.h"
#include "launcher/exit_status.h"
#include "launcher/json_list.h"
#include "launcher/verbs.h"
#include "launcher/vm_report.h"
#include "launcher/vm_select.h"

/* Nobody watches an unsupervised VM: what it does is not known. */
static int status_of(const struct vm_entry *vm)
{
	if (vm->presence == VM_GONE)
		return EXIT_STATUS_NOT_RUNNING;
	if (vm->presence == VM_UNSUPERVISED || !vm->readable || vm->outdated)
		return EXIT_STATUS_UNKNOWN;
	if (vm->state.frozen)
		return EXIT_STATUS_NOT_RUNNING;
	return strcmp(vm->state.run_state, "running") == 0 ? 0 : EXIT_STATUS_NOT_RUNNING;
}

static int status_one(const struct vm_job *job, void *data)
{
	struct json_list *json = data;
	int ret = 0;

	if (json->wanted)
		ret = json_list_add(json, vm_report_json(job->vm));
	else
		vm_report_text(job->vm);
	return ret ? ret : status_of(job->vm);
}

int verb_status(char **argv)
{
	_cleanup_(verb_args_finish) struct verb_args args = { 0 };
	struct error err = { 0 };
	struct json_list json;
	int ret;

	ret = verb_args_parse(argv, &args, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	json_list_begin(&json, args.json, stdout);
	ret = vm_select(&args, args.operands.n, status_one, &json);
	json_list_end(&json);
	return ret;
}
