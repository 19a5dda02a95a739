/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/drain.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "launcher/vm/block_nodes.h"
#include "launcher/vm/monitor.h"

enum verdict { NEXT, KEEP, RUNS };

struct drain {
	struct vm *vm;
	uint64_t token;
	size_t step;
	bool due_later; /* KEEP, until --release-after is over */
	char why[512];  /* KEEP */
};

static enum verdict keep(struct drain *drain, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

static enum verdict keep(struct drain *drain, const char *fmt, ...)
{
	va_list args;

	va_start(args, fmt);
	vsnprintf(drain->why, sizeof(drain->why), fmt, args);
	va_end(args);
	return KEEP;
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
		return keep(drain, "the 'nop' lock driver holds nothing");
	if (vm->state.pinned.n)
		return keep(drain, "%s", vm->state.pinned.items[0]);
	if (!(vm->plan->release_on & kind))
		return keep(drain, "--release-on does not name this kind of pause");
	if (vm->plan->options->release_after_ms && !vm->release_asked) {
		drain->due_later = true;
		return keep(drain, "--release-after lets a short pause pass");
	}
	return NEXT;
}

static enum verdict judge_status(struct drain *drain, json_t *ret)
{
	const char *status = json_string_value(json_object_get(ret, "status"));
	struct vm *vm = drain->vm;
	const char *detail;
	size_t i;

	if (!status || json_is_true(json_object_get(ret, "running")))
		return RUNS;
	vm_set_run_state(vm, status);
	for (i = 0; i < sizeof(releasable) / sizeof(releasable[0]); i++) {
		if (strcmp(status, releasable[i].status) != 0)
			continue;
		/* a detail that events have left is of that kind only */
		detail = releasable[i].kind == RELEASE_ON_STOP ? NULL : vm->state.cause_detail;
		vm_set_cause(vm, releasable[i].cause, detail);
		if (vm->state.deactivating)
			return keep(drain, "whether QEMU's images are active is not known: a "
					   "deactivation or a 'cont' did not succeed");
		return judge_policy(drain, releasable[i].kind);
	}
	vm_set_cause(vm, CAUSE_UNKNOWN, NULL);
	return keep(drain, "QEMU leaves the state '%s' by itself", status);
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
		return keep(drain, "the block job '%s' may still write",
			json_string_value(json_object_get(job, "id")));
	}
	return NEXT;
}

static enum verdict judge_exports(struct drain *drain, json_t *ret)
{
	if (json_array_size(ret) == 0)
		return NEXT;
	drain->vm->retry_release = true;
	return keep(drain, "the export '%s' may still write",
		json_string_value(json_object_get(json_array_get(ret, 0), "id")));
}

static enum verdict judge_nodes(struct drain *drain, json_t *ret)
{
	const char *format = block_nodes_with_metadata(ret);

	if (format)
		return keep(drain, "a %s image cannot be let go with --deactivate=no", format);
	return NEXT;
}

/* Some devices make deactivation unsafe (or QEMU crash): they block migration too. */
static enum verdict judge_migrate(struct drain *drain, json_t *ret)
{
	const char *status = json_string_value(json_object_get(ret, "status"));
	json_t *reasons = json_object_get(ret, "blocked-reasons");

	if (json_array_size(reasons)) {
		vm_pin(drain->vm, json_string_value(json_array_get(reasons, 0)));
		return keep(drain, "%s", json_string_value(json_array_get(reasons, 0)));
	}
	if (status && strcmp(status, "none") != 0 && strcmp(status, "completed") != 0 &&
		strcmp(status, "failed") != 0 && strcmp(status, "cancelled") != 0) {
		drain->vm->retry_release = true;
		return keep(drain, "a migration is under way (%s)", status);
	}
	/* written down before QEMU is told: it may happen once a pause only */
	drain->vm->state.deactivating = true;
	if (vm_save_state(drain->vm) < 0) {
		drain->vm->state.deactivating = false;
		return keep(drain, "state.json cannot be written");
	}
	return NEXT;
}

static enum verdict judge_deactivated(struct drain *drain, json_t *ret)
{
	(void)ret;
	drain->vm->state.deactivating = false;
	drain->vm->state.deactivated = true;
	return NEXT;
}

static bool wants_deactivation(const struct drain *drain)
{
	return drain->vm->plan->options->deactivate && !drain->vm->state.deactivated;
}

/* It keeps its own locks and caches: which is fine for raw images only. */
static bool stays_active(const struct drain *drain)
{
	return !drain->vm->plan->options->deactivate && !drain->vm->state.deactivated;
}

/* QEMU before 10.0 has no command for it; this one does it, for its own purposes. */
static json_t *deactivation_arguments(void)
{
	return json_pack("{s:s}", "filename", "/dev/null");
}

static const struct {
	const char *command;
	enum verdict (*judge)(struct drain *drain, json_t *ret);
	bool (*needed)(const struct drain *drain);
	json_t *(*arguments)(void);
} steps[] = {
	{ "query-status", judge_status, NULL, NULL },
	{ "query-jobs", judge_jobs, NULL, NULL },
	{ "query-block-exports", judge_exports, NULL, NULL },
	{ "query-named-block-nodes", judge_nodes, stays_active, NULL },
	{ "query-migrate", judge_migrate, wants_deactivation, NULL },
	{ "xen-save-devices-state", judge_deactivated, wants_deactivation, deactivation_arguments },
	/* deactivation is done, and nobody has changed the state meanwhile */
	{ "query-status", judge_status, NULL, NULL },
};
#define N_STEPS (sizeof(steps) / sizeof(steps[0]))

static void drain_step(struct drain *drain);

static void on_release_due(uv_timer_t *timer)
{
	struct vm *vm = timer->data;

	vm->release_asked = true;
	vm_post(vm, SUP_EV_RELEASE_WANTED);
}

static void drain_end(struct drain *drain, enum supervisor_event event)
{
	struct vm *vm = drain->vm;

	if (event == SUP_EV_KEPT) {
		log_info("paused, its locks stay: %s", drain->why);
		vm_set_text(&vm->state.held_because, drain->why);
	} else {
		vm_set_text(&vm->state.held_because, NULL);
	}
	if (drain->due_later)
		uv_timer_start(
			&vm->release_timer, on_release_due, vm->plan->options->release_after_ms, 0);
	free(drain);
	vm_post(vm, event);
}

static void on_reply(void *data, const struct qmp_reply *reply)
{
	struct drain *drain = data;
	enum verdict verdict;

	if (drain->token != drain->vm->drain_token) {
		free(drain); /* given up meanwhile */
		return;
	}
	if (reply->result != 0)
		verdict = keep(drain, "%s: %s", steps[drain->step].command, reply->words);
	else
		verdict = steps[drain->step].judge(drain, reply->value);
	if (verdict == KEEP) {
		drain_end(drain, SUP_EV_KEPT);
	} else if (verdict == RUNS) {
		drain_end(drain, SUP_EV_NOT_STOPPED);
	} else {
		drain->step++;
		drain_step(drain);
	}
}

static void drain_step(struct drain *drain)
{
	while (drain->step < N_STEPS && steps[drain->step].needed &&
		!steps[drain->step].needed(drain))
		drain->step++;
	if (drain->step == N_STEPS) {
		drain_end(drain, SUP_EV_DRAINED);
		return;
	}
	monitor_call(drain->vm,
		&(struct monitor_call){
			.command = steps[drain->step].command,
			.arguments = steps[drain->step].arguments ? steps[drain->step].arguments()
								  : NULL,
			.fd = -1,
			.fn = on_reply,
			.data = drain,
		});
}

void drain_start(struct vm *vm)
{
	struct drain *drain = calloc(1, sizeof(*drain));

	vm->retry_release = false;
	if (!drain) {
		vm_set_text(&vm->state.held_because, "out of memory");
		vm_post(vm, SUP_EV_KEPT);
		return;
	}
	drain->vm = vm;
	drain->token = ++vm->drain_token;
	drain_step(drain);
}

void drain_abort(struct vm *vm)
{
	vm->drain_token++;
	vm->lock_token++;
}
