/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/str.h"
#include "launcher/exit_status.h"
#include "launcher/json_list.h"
#include "launcher/verbs.h"
#include "launcher/vm/rundir_watch.h"
#include "launcher/vm_report.h"
#include "launcher/vm_select.h"
#include "launcher/vm_table.h"

/* The end of a QEMU that nobody supervises leaves no trace in the directory. */
#define LOOK_AGAIN_MS 1000

struct listing {
	struct vm_table table;
	struct json_list json;
	bool look_again; /* not all that may change can be waited for */
};

static int list_one(const struct vm_job *job, void *data)
{
	struct listing *listing = data;

	listing->look_again |= job->vm->presence == VM_UNSUPERVISED;
	if (listing->json.wanted)
		return json_list_add(&listing->json, vm_report_json(job->vm));
	return vm_table_add(&listing->table, job->vm) < 0 ? EX_OSERR : 0;
}

/* Print what there is now. An exit status. */
static int list_now(const struct verb_args *args, FILE *out, bool *look_again)
{
	struct listing listing = { 0 };
	int ret;

	json_list_begin(&listing.json, args->json, out);
	ret = vm_select(args, 0, list_one, &listing);
	json_list_end(&listing.json);
	if (ret == 0 && !args->json)
		vm_table_print(&listing.table, out);
	vm_table_finish(&listing.table);
	*look_again = listing.look_again;
	return ret;
}

/* The same as text; the caller's. NULL: no memory. */
static char *list_as_text(const struct verb_args *args, int *status, bool *look_again)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	if (!out)
		return NULL;
	*status = list_now(args, out, look_again);
	if (fclose(out) == 0)
		return text;
	free(text);
	return NULL;
}

/* A terminal shows the newest only; elsewhere an empty line stands between two tables. */
static int show(const struct verb_args *args, const char *text, bool first)
{
	if (isatty(STDOUT_FILENO))
		fputs("\033[H\033[2J", stdout);
	else if (!first && !args->json)
		puts("");
	fputs(text, stdout);
	return fflush(stdout);
}

/* Print what is there if it is news, and wait for a change. An exit status. */
static int watch_once(const struct verb_args *args, char **shown)
{
	struct error err = { 0 };
	/* before the look, so that no change falls in between */
	_cleanup_(closep) int changes = rundir_watch(&err);
	_cleanup_(freep) char *text = NULL;
	bool look_again;
	int status, ret;

	if (changes < 0 && changes != -ENOENT)
		return exit_failure(changes, &err);
	text = list_as_text(args, &status, &look_again);
	if (!text)
		return EX_OSERR;
	if (status != 0)
		return status;
	if (!str_equal(text, *shown) && show(args, text, !*shown) < 0)
		return 0; /* the program's end says so */
	free(*shown);
	*shown = take_ptr(text);
	ret = rundir_watch_wait(changes, look_again ? LOOK_AGAIN_MS : -1, &err);
	return ret < 0 ? exit_failure(ret, &err) : 0;
}

static int watch(const struct verb_args *args)
{
	_cleanup_(freep) char *shown = NULL;
	int status = 0;

	while (status == 0 && !ferror(stdout))
		status = watch_once(args, &shown);
	return status;
}

int verb_list(char **argv)
{
	_cleanup_(verb_args_finish) struct verb_args args = { 0 };
	struct error err = { 0 };
	bool look_again;
	int ret;

	ret = verb_args_parse(argv, &args, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	return args.watch ? watch(&args) : list_now(&args, stdout, &look_again);
}
