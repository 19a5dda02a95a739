/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/drain_steps.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "launcher/vm/block_nodes.h"

enum verdict drain_keep(struct drain *drain, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(drain->why, sizeof(drain->why), fmt, args);
	va_end(args);
	return VERDICT_KEEP;
}

/*
 * The run states in which a VM may be without its locks, what they tell of the
 * cause, and which --release-on they fall under. QEMU leaves every other state
 * (finish-migrate, save-vm, restore-vm, debug, colo, suspended, inmigrate) by
 * itself, so there the locks stay.
 */
static const struct {
	const char *status;
	enum vm_cause cause;
	enum release_on kind;
} releasable[] = {
	{ "paused", CAUSE_USER, RELEASE_ON_STOP },
	{ "io-error", CAUSE_IO_ERROR, RELEASE_ON_IO_ERROR },
	{ "watchdog", CAUSE_WATCHDOG, RELEASE_ON_WATCHDOG },
	{ "guest-panicked", CAUSE_GUEST_PANIC, RELEASE_ON_STOP },
	{ "internal-error", CAUSE_UNKNOWN, RELEASE_ON_STOP },
	{ "shutdown", CAUSE_SHUTDOWN, RELEASE_ON_STOP },
	{ "prelaunch", CAUSE_USER, RELEASE_ON_STOP },
	{ "postmigrate", CAUSE_MIGRATION, RELEASE_ON_STOP },
};

/* What --release-on, --release-after and monitors that are not ours have to say. */
static enum verdict judge_policy(struct drain *drain, enum release_on kind)
{
	struct vm *vm = drain->vm;

	if (!vm_has_locks(vm))
		return drain_keep(drain, "the 'nop' lock driver holds nothing");
	if (vm->state.pinned.n)
		return drain_keep(drain, "%s", vm->state.pinned.items[0]);
	if (!(vm->plan->release_on & kind))
		return drain_keep(drain, "--release-on does not name this kind of pause");
	if (vm->plan->options->release_after_ms && !vm->release_asked) {
		drain->due_later = true;
		return drain_keep(drain, "--release-after lets a short pause pass");
	}
	return VERDICT_NEXT;
}

static enum verdict judge_status(struct drain *drain, json_t *ret)
{
	const char *status = json_string_value(json_object_get(ret, "status"));
	struct vm *vm = drain->vm;
	const char *detail;
	size_t i;

	if (!status || json_is_true(json_object_get(ret, "running")))
		return VERDICT_RUNS;
	vm_set_run_state(vm, status);
	for (i = 0; i < sizeof(releasable) / sizeof(releasable[0]); i++) {
		if (strcmp(status, releasable[i].status) != 0)
			continue;
		/* a detail that events have left is of that kind only */
		detail = releasable[i].kind == RELEASE_ON_STOP ? NULL : vm->state.cause_detail;
		vm_set_cause(vm, releasable[i].cause, detail);
		if (vm->state.deactivating)
			return drain_keep(drain, "whether QEMU's images are active is not known: a "
						 "deactivation or a 'cont' did not succeed");
		return judge_policy(drain, releasable[i].kind);
	}
	vm_set_cause(vm, CAUSE_UNKNOWN, NULL);
	return drain_keep(drain, "QEMU leaves the state '%s' by itself", status);
}

/* A string that QEMU owes us; one that has been taken over may say anything. */
static const char *words_of(json_t *value)
{
	return json_is_string(value) ? json_string_value(value) : "?";
}

static enum verdict judge_jobs(struct drain *drain, json_t *ret)
{
	const char *status;
	json_t *job;
	size_t i;

	json_array_foreach (ret, i, job) {
		status = json_string_value(json_object_get(job, "status"));
		if (status && strcmp(status, "concluded") == 0)
			continue;
		drain->vm->retry_release = true;
		return drain_keep(drain, "the block job '%s' may still write",
			words_of(json_object_get(job, "id")));
	}
	return VERDICT_NEXT;
}

static enum verdict judge_exports(struct drain *drain, json_t *ret)
{
	if (json_array_size(ret) == 0)
		return VERDICT_NEXT;
	drain->vm->retry_release = true;
	return drain_keep(drain, "the export '%s' may still write",
		words_of(json_object_get(json_array_get(ret, 0), "id")));
}

static enum verdict judge_nodes(struct drain *drain, json_t *ret)
{
	const char *format = block_nodes_with_metadata(ret);
	char moved[sizeof(drain->why)];

	if (!drain->vm->plan->options->deactivate && format)
		return drain_keep(
			drain, "a %s image cannot be let go with --deactivate=no", format);
	if (drain->vm->plan->options->deactivate &&
		block_nodes_moved(ret, drain->vm->child.pid, &drain->vm->state.resources, moved,
			sizeof(moved)))
		return drain_keep(drain, "%s", moved);
	return VERDICT_NEXT;
}

/* Some devices make deactivation unsafe (or QEMU crash): they block migration too. */
static enum verdict judge_migrate(struct drain *drain, json_t *ret)
{
	const char *status = json_string_value(json_object_get(ret, "status"));
	json_t *reasons = json_object_get(ret, "blocked-reasons");

	if (json_array_size(reasons)) {
		vm_pin(drain->vm, words_of(json_array_get(reasons, 0)));
		return drain_keep(drain, "%s", words_of(json_array_get(reasons, 0)));
	}
	if (status && strcmp(status, "none") != 0 && strcmp(status, "completed") != 0 &&
		strcmp(status, "failed") != 0 && strcmp(status, "cancelled") != 0) {
		drain->vm->retry_release = true;
		return drain_keep(drain, "a migration is under way (%s)", status);
	}
	/* written down before QEMU is told: it may happen once a pause only */
	drain->vm->state.deactivating = true;
	if (vm_save_state(drain->vm) < 0) {
		drain->vm->state.deactivating = false;
		return drain_keep(drain, "state.json cannot be written");
	}
	return VERDICT_NEXT;
}

static enum verdict judge_deactivated(struct drain *drain, json_t *ret)
{
	(void)ret;
	drain->vm->state.deactivating = false;
	drain->vm->state.deactivated = true;
	return VERDICT_NEXT;
}

static bool wants_deactivation(const struct drain *drain)
{
	return drain->vm->plan->options->deactivate && !drain->vm->state.deactivated;
}

/* As long as it is active, its nodes decide: what it has open, and what it would open again. */
static bool is_active(const struct drain *drain)
{
	return !drain->vm->state.deactivated;
}

/* QEMU before 10.0 has no command for it; this one does it, for its own purposes. */
static json_t *deactivation_arguments(void)
{
	return json_pack("{s:s}", "filename", "/dev/null");
}

const struct drain_step drain_steps[DRAIN_N_STEPS] = {
	{ "query-status", judge_status },
	{ "query-jobs", judge_jobs },
	{ "query-block-exports", judge_exports },
	{ "query-named-block-nodes", judge_nodes, is_active },
	{ "query-migrate", judge_migrate, wants_deactivation },
	{ "xen-save-devices-state", judge_deactivated, wants_deactivation, deactivation_arguments,
		.delicate = true },
	/* deactivation is done, and nobody has changed the state meanwhile */
	{ "query-status", judge_status },
};
