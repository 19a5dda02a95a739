/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <sysexits.h>

#include <jansson.h>

#include "base/cleanup.h"
#include "launcher/doctor/guard.h"
#include "launcher/exit_status.h"
#include "launcher/json_list.h"
#include "launcher/verb_args.h"
#include "launcher/verbs.h"

static void view_finish(struct doctor_view *view)
{
	str_finish(&view->text);
}

static int doctor_one(const char *path, int64_t timeout_ms, struct json_list *json)
{
	_cleanup_(view_finish) struct doctor_view view = { .json = json->wanted };
	struct error err = { 0 };
	int ret = examine_guarded(path, timeout_ms, &view, &err);

	if (ret < 0)
		return exit_failure(ret, &err);
	if (!json->wanted)
		fputs(view.text.text, stdout);
	else if (json_list_add(json, json_loads(view.text.text, 0, NULL)) != 0)
		return EX_OSERR;
	return view.status;
}

int verb_doctor(char **argv)
{
	_cleanup_(verb_args_finish) struct verb_args args = { 0 };
	struct json_list json;
	struct error err = { 0 };
	int ret, status = 0;
	size_t i;

	ret = verb_args_parse(argv, &args, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	json_list_begin(&json, args.json, stdout);
	for (i = 0; i < args.operands.n; i++) {
		int one;

		fflush(stdout); /* what is said of one does not wait for the next */
		one = doctor_one(args.operands.items[i], args.timeout_ms, &json);
		status = status ? status : one;
	}
	json_list_end(&json);
	return status;
}
