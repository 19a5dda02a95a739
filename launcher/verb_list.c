/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "launcher/exit_status.h"
#include "launcher/json_list.h"
#include "launcher/verbs.h"
#include "launcher/vm_report.h"
#include "launcher/vm_select.h"

enum { NAME, STATE, LOCKS, PID, SINCE, CAUSE, N_COLUMNS };

struct row {
	char cells[N_COLUMNS][VM_NAME_SIZE];
};

static const struct row heading = {
	.cells = { "NAME", "STATE", "LOCKS", "PID", "SINCE", "CAUSE" },
};

struct table {
	struct row *rows;
	size_t n;
	struct json_list json;
};

static void table_finish(struct table *table)
{
	free(table->rows);
}

static void set_cell(struct row *row, int column, const char *text)
{
	snprintf(row->cells[column], sizeof(row->cells[column]), "%s", text);
}

static void fill_row(struct row *row, const struct vm_entry *vm)
{
	const struct vm_state *state = &vm->state;
	char since[CLOCK_TEXT_SIZE];
	int i;

	for (i = 0; i < N_COLUMNS; i++)
		set_cell(row, i, "-");
	set_cell(row, NAME, vm->name);
	vm_report_state(vm, row->cells[STATE], VM_NAME_SIZE);
	if (!vm->readable)
		return;
	if (vm->presence != VM_GONE) {
		set_cell(row, LOCKS, vm_lock_state_name(state->lock_state));
		snprintf(row->cells[PID], VM_NAME_SIZE, "%d", state->qemu.pid);
	}
	set_cell(row, SINCE,
		clock_text(state->cause_since ? state->cause_since : state->started, since));
	if (state->cause != CAUSE_NONE)
		set_cell(row, CAUSE, vm_cause_name(state->cause));
}

static int list_one(const struct vm_job *job, void *data)
{
	struct table *table = data;
	struct row *grown;

	if (table->json.wanted)
		return json_list_add(&table->json, vm_report_json(job->vm));
	grown = reallocarray(table->rows, table->n + 1, sizeof(*grown));
	if (!grown)
		return EX_OSERR;
	table->rows = grown;
	fill_row(&table->rows[table->n++], job->vm);
	return 0;
}

static void print_row(const struct row *row, const int *widths)
{
	int i;

	for (i = 0; i < N_COLUMNS - 1; i++)
		printf("%-*s  ", widths[i], row->cells[i]);
	printf("%s\n", row->cells[N_COLUMNS - 1]);
}

static void print_table(const struct table *table)
{
	int widths[N_COLUMNS], i, len;
	size_t k;

	for (i = 0; i < N_COLUMNS; i++) {
		widths[i] = strlen(heading.cells[i]);
		for (k = 0; k < table->n; k++) {
			len = strlen(table->rows[k].cells[i]);
			widths[i] = len > widths[i] ? len : widths[i];
		}
	}
	print_row(&heading, widths);
	for (k = 0; k < table->n; k++)
		print_row(&table->rows[k], widths);
}

int verb_list(char **argv)
{
	_cleanup_(verb_args_finish) struct verb_args args = { 0 };
	_cleanup_(table_finish) struct table table = { 0 };
	struct error err = { 0 };
	int ret;

	ret = verb_args_parse(argv, &args, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	json_list_begin(&table.json, args.json);
	ret = vm_select(&args, 0, list_one, &table);
	json_list_end(&table.json);
	if (ret == 0 && !args.json)
		print_table(&table);
	return ret;
}
