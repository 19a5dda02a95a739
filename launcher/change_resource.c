/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/change_resource.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/exit_status.h"
#include "launcher/option_value.h"
#include "launcher/vm_select.h"
#include "locking/lease.h"

/* How long lock calls may take on a network file system. */
#define CHANGE_TIMEOUT_MS 120000

struct change {
	const char *command;
	const char *kind;
	char *path; /* absolute; of a lease its text */
	bool readonly;
};

static void change_finish(struct change *change)
{
	free(change->path);
}

static int change_one(const struct vm_job *job, void *data)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	const struct change *change = data;
	struct error err = { 0 };
	json_t *arguments;
	int ret;

	client.timeout_ms = CHANGE_TIMEOUT_MS;
	ret = vm_job_connect(job, &client, &err);
	if (ret)
		return vm_job_failure(ret, &client, &err);
	arguments = json_pack("{s:s, s:s}", "kind", change->kind, "path", change->path);
	if (!arguments) {
		log_error("%s cannot be named in QMP: it is no UTF-8", change->path);
		return EX_DATAERR;
	}
	if (change->readonly)
		json_object_set_new(arguments, "readonly", json_true());
	ret = control_client_call(&client, change->command, arguments, &err);
	return ret ? vm_job_failure(ret, &client, &err) : 0;
}

static bool is_file_kind(const char *kind)
{
	return strcmp(kind, "disk") == 0 || strcmp(kind, "image") == 0;
}

/* What is named wrongly is told before any VM is asked. Returns an exit status. */
static int change_fill(struct change *change, const struct verb_args *args,
	enum resource_change what, const char *verb)
{
	const char *text = args->operands.items[2];
	struct error err = { 0 };
	struct lease lease;

	change->kind = args->operands.items[1];
	change->readonly = args->readonly;
	if (strcmp(change->kind, "lease") == 0) {
		if (lease_from_text(text, &lease, &err) < 0)
			return exit_failure(error_status(&err, -EINVAL, EX_USAGE), &err);
		change->path = strdup(text);
	} else if (is_file_kind(change->kind)) {
		change->path = path_make_absolute(text);
	} else {
		log_error("'%s' knows disk, image and lease: vmlatch %s VM disk PATH, not '%s'",
			verb, verb, change->kind);
		return EX_USAGE;
	}
	if (!change->path)
		return EX_OSERR;
	/* a disk that is gone may still have to be let go */
	if (what == RESOURCE_ATTACH && is_file_kind(change->kind) &&
		access(change->path, F_OK) < 0) {
		log_error("%s: %s", change->path, strerror(errno));
		return exit_status(-errno, NULL);
	}
	return 0;
}

int change_resource(char **argv, enum resource_change what)
{
	static const char *const commands[] = { "vmlatch-attach", "vmlatch-detach" };
	_cleanup_(change_finish) struct change change = { .command = commands[what] };
	_cleanup_(verb_args_finish) struct verb_args args = { 0 };
	struct error err = { 0 };
	int ret;

	ret = verb_args_parse(argv, &args, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	ret = change_fill(&change, &args, what, argv[0]);
	return ret ? ret : vm_select(&args, 1, change_one, &change);
}
