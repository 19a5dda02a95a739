/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm_table.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "launcher/vm_report.h"

enum { NAME, STATE, LOCKS, PID, SINCE, CAUSE, N_COLUMNS };

struct vm_row {
	char cells[N_COLUMNS][VM_NAME_SIZE];
};

static const struct vm_row heading = {
	.cells = { "NAME", "STATE", "LOCKS", "PID", "SINCE", "CAUSE" },
};

void vm_table_finish(struct vm_table *table)
{
	free(table->rows);
}

static void set_cell(struct vm_row *row, int column, const char *text)
{
	snprintf(row->cells[column], sizeof(row->cells[column]), "%s", text);
}

static void fill_row(struct vm_row *row, const struct vm_entry *vm)
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

int vm_table_add(struct vm_table *table, const struct vm_entry *vm)
{
	struct vm_row *grown = reallocarray(table->rows, table->n + 1, sizeof(*grown));

	if (!grown)
		return -ENOMEM;
	table->rows = grown;
	fill_row(&table->rows[table->n++], vm);
	return 0;
}

static void print_row(const struct vm_row *row, const int *widths, FILE *out)
{
	int i;

	for (i = 0; i < N_COLUMNS - 1; i++)
		fprintf(out, "%-*s  ", widths[i], row->cells[i]);
	fprintf(out, "%s\n", row->cells[N_COLUMNS - 1]);
}

void vm_table_print(const struct vm_table *table, FILE *out)
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
	print_row(&heading, widths, out);
	for (k = 0; k < table->n; k++)
		print_row(&table->rows[k], widths, out);
}
