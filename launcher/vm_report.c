/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm_report.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"

#define PATH_SHOWN 4096

static const char *const presences[] = {
	[VM_SUPERVISED] = "supervised",
	[VM_UNSUPERVISED] = "unsupervised",
	[VM_UNKNOWN] = "unknown",
	[VM_GONE] = "gone",
};

void vm_report_state(const struct vm_entry *vm, char *word, size_t size)
{
	if (vm->presence != VM_SUPERVISED)
		snprintf(word, size, "%s", presences[vm->presence]);
	else if (!vm->readable || vm->outdated)
		snprintf(word, size, "unknown");
	else if (vm->state.frozen) /* whatever QEMU said last */
		snprintf(word, size, "frozen");
	else
		str_printable(vm->state.run_state, word, size);
}

json_t *vm_report_json(const struct vm_entry *vm)
{
	json_t *object;

	object = vm->readable ? vm_state_to_json(&vm->state) : json_pack("{s:s}", "name", vm->name);
	json_object_set_new(object, "presence", json_string(presences[vm->presence]));
	if (!vm->readable || vm->outdated)
		json_object_set_new(object, "problem", json_string(vm->problem));
	return object;
}

/* "  label       text", the text made harmless for a terminal. */
static void print_line(const char *label, const char *text)
{
	char shown[PATH_SHOWN];

	if (text)
		printf("  %-11s %s\n", label, str_printable(text, shown, sizeof(shown)));
}

static void print_process(const char *label, const struct vm_process *process)
{
	if (process->pid)
		printf("  %-11s pid %d\n", label, process->pid);
}

static void print_resources(const struct resource_set *set)
{
	char path[PATH_SHOWN], origin[PATH_SHOWN];
	size_t i;

	for (i = 0; i < set->n; i++) {
		const struct resource *resource = &set->items[i];

		printf("  %-11s %-9s %s%s%s%s\n", resource_kind_name(resource->kind),
			resource_mode_name(resource->mode),
			str_printable(resource->path, path, sizeof(path)),
			resource->origin ? " (" : "",
			resource->origin ? str_printable(resource->origin, origin, sizeof(origin))
					 : "",
			resource->origin ? ")" : "");
	}
}

static void print_cause(const struct vm_state *state)
{
	char since[CLOCK_TEXT_SIZE], detail[PATH_SHOWN];

	if (state->cause == CAUSE_NONE)
		return;
	printf("  %-11s %s%s%s%s%s\n", state->ended ? "last cause" : "paused by",
		vm_cause_name(state->cause), state->cause_since ? " since " : "",
		state->cause_since ? clock_text(state->cause_since, since) : "",
		state->cause_detail ? ": " : "",
		state->cause_detail ? str_printable(state->cause_detail, detail, sizeof(detail))
				    : "");
}

/* What can become of it: nothing, once it has ended. */
static void print_prospects(const struct vm_state *state)
{
	size_t i;

	print_line("remedy", state->remedy);
	print_line("locks stay", state->held_because);
	for (i = 0; i < state->pinned.n; i++)
		print_line("pinned", state->pinned.items[i]);
}

static void print_end(const struct vm_state *state)
{
	char when[CLOCK_TEXT_SIZE];

	if (!state->ended)
		return;
	printf("  %-11s %s, %s %d%s\n", "ended", clock_text(state->end_time, when),
		state->end_status < 0 ? "by signal" : "with status", abs(state->end_status),
		state->end_from_qemu ? "" : " (not seen: the supervisor had died)");
}

static void print_heading(const struct vm_entry *vm)
{
	char word[64];

	vm_report_state(vm, word, sizeof(word));
	if (!vm->readable) {
		printf("%s: %s (%s)\n", vm->name, word, vm->problem);
		return;
	}
	if (vm->presence == VM_GONE)
		printf("%s: not running\n", vm->name);
	else
		printf("%s: %s, locks %s\n", vm->name, word,
			vm_lock_state_name(vm->state.lock_state));
}

void vm_report_text(const struct vm_entry *vm)
{
	const struct vm_state *state = &vm->state;
	char started[CLOCK_TEXT_SIZE];

	print_heading(vm);
	if (!vm->readable)
		return;
	print_cause(state);
	if (vm->presence != VM_GONE)
		print_prospects(state);
	if (vm->presence == VM_UNSUPERVISED)
		print_line("note", "its supervisor died: what is said here was true then");
	if (vm->outdated)
		print_line("note", vm->problem);
	print_end(state);
	if (vm->presence != VM_GONE) {
		print_process("QEMU", &state->qemu);
		print_process("supervisor", &state->supervisor);
	}
	print_line("started", state->started ? clock_text(state->started, started) : NULL);
	print_line("driver", state->driver);
	print_resources(&state->resources);
}
