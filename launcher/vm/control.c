/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/control.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/vm/control_goal.h"
#include "launcher/vm/control_pass.h"
#include "launcher/vm/control_resource.h"
#include "launcher/vm/locks.h"
#include "launcher/vm/loss.h"
#include "qmp/message.h"

/* What QEMU says is said to the client as it is. */
/*
 * Before the guest has run a 'stop' counts as -S; a guest that stands needs none.
 * One that was started directly may run before we know of it.
 */
static void do_stop(struct vm *vm, struct qmp_request *request)
{
	bool starting = vm->sup == SUP_STARTING || vm->sup == SUP_BOOTING;
	bool direct = !vm->plan->verified && !vm->plan->incoming;
	/* QEMU has taken a 'cont' down for the end of the migration (autostart): so this, too */
	bool waits_for_migration = str_equal(vm->state.run_state, "inmigrate");

	if (vm->sup == SUP_RUNNING || vm->sup == SUP_RESUMING || (starting && direct) ||
		(vm->sup == SUP_PAUSED && waits_for_migration)) {
		control_pass(vm, request);
		return;
	}
	if (starting)
		vm->stay = true;
	qmp_request_reply(request, NULL);
}

static void do_cont(struct vm *vm, struct qmp_request *request)
{
	vm->stay = false;
	control_wait(vm, request, GOAL_RUNNING, NULL);
}

static void do_quit(struct vm *vm, struct qmp_request *request)
{
	qmp_request_reply(request, NULL);
	vm->end.signal = 0;
	vm->end.seen_by_qemu = false;
	vm_post(vm, SUP_EV_END_WANTED);
}

/* Nobody would see it, and whoever waits for the guest would wait in vain. */
static void do_powerdown(struct vm *vm, struct qmp_request *request)
{
	if (vm->sup == SUP_RUNNING)
		control_pass(vm, request);
	else
		qmp_request_fail(request, NULL,
			"the guest does not run, so that it would not see its power button");
}

static void do_status(struct vm *vm, struct qmp_request *request)
{
	json_t *object = vm_state_to_json(&vm->state);

	if (object)
		qmp_request_reply(request, object);
	else
		qmp_request_fail(request, NULL, "out of memory");
}

static void do_release(struct vm *vm, struct qmp_request *request)
{
	vm->release_asked = vm->sup != SUP_RUNNING; /* this pause, not the next one */
	control_wait(vm, request, GOAL_RELEASED, NULL);
}

static void do_acquire(struct vm *vm, struct qmp_request *request)
{
	control_wait(vm, request, GOAL_HELD, NULL);
}

struct inquiry {
	struct vm *vm;
	struct qmp_request *request;
};

static void on_inquired(void *data, const struct locks_result *result)
{
	struct inquiry *inquiry = data;

	if (result->code < 0)
		qmp_request_fail(inquiry->request, NULL, "%s", result->words);
	else
		control_reply_inquire(inquiry->vm, inquiry->request, result->state);
	free(inquiry);
}

static void inquire_now(struct vm *vm, struct qmp_request *request)
{
	struct inquiry *inquiry = calloc(1, sizeof(*inquiry));

	if (!inquiry) {
		qmp_request_fail(request, NULL, "out of memory");
		return;
	}
	*inquiry = (struct inquiry){ .vm = vm, .request = request };
	locks_inquire(vm, on_inquired, inquiry);
}

static void do_inquire(struct vm *vm, struct qmp_request *request)
{
	control_wait(vm, request, GOAL_SETTLED, inquire_now);
}

static void do_events(struct vm *vm, struct qmp_request *request)
{
	json_t *since = json_object_get(qmp_request_arguments(request), "since");
	json_t *events = json_array();
	uint64_t seq = json_integer_value(since);
	const char *text;
	json_t *event;
	size_t len;

	if (seq < vm->events.oldest)
		seq = vm->events.oldest;
	for (; (text = event_log_get(&vm->events, seq, &len)); seq++) {
		if (message_parse(text, len, &event, NULL) == 0)
			json_array_append_new(events, event);
	}
	qmp_request_reply(request,
		json_pack("{s:o, s:I}", "events", events, "next", (json_int_t)vm->events.next));
}

/* Each command, and the arguments that it takes. */
#define N_ARGUMENTS 3
static const struct {
	const char *name;
	void (*handle)(struct vm *vm, struct qmp_request *request);
	struct {
		const char *name;
		json_type type;
		bool needed;
	} arguments[N_ARGUMENTS];
} commands[] = {
	{ "query-status", control_pass, { { NULL } } },
	{ "stop", do_stop, { { NULL } } },
	{ "cont", do_cont, { { NULL } } },
	{ "quit", do_quit, { { NULL } } },
	{ "system_powerdown", do_powerdown, { { NULL } } },
	{ "vmlatch-status", do_status, { { NULL } } },
	{ "vmlatch-inquire", do_inquire, { { NULL } } },
	{ "vmlatch-release", do_release, { { NULL } } },
	{ "vmlatch-acquire", do_acquire, { { "force-stale", JSON_TRUE, false } } },
	{ "vmlatch-attach", control_attach,
		{ { "kind", JSON_STRING, true }, { "path", JSON_STRING, true },
			{ "readonly", JSON_TRUE, false } } },
	{ "vmlatch-detach", control_detach,
		{ { "kind", JSON_STRING, true }, { "path", JSON_STRING, true } } },
	{ "vmlatch-events", do_events, { { "since", JSON_INTEGER, false } } },
};
#define N_COMMANDS (sizeof(commands) / sizeof(commands[0]))

static bool type_fits(const json_t *value, json_type type)
{
	return type == JSON_TRUE ? json_is_boolean(value) : json_typeof(value) == type;
}

/* 0, or the request has been answered with what is wrong. */
static int check_arguments(struct qmp_request *request, size_t command)
{
	json_t *arguments = qmp_request_arguments(request), *value;
	size_t known = 0, i;

	for (i = 0; i < N_ARGUMENTS && commands[command].arguments[i].name; i++) {
		const char *name = commands[command].arguments[i].name;

		value = json_object_get(arguments, name);
		known += value != NULL;
		if (!value && commands[command].arguments[i].needed) {
			qmp_request_fail(request, NULL, "Parameter '%s' is missing", name);
			return -EINVAL;
		}
		if (value && !type_fits(value, commands[command].arguments[i].type)) {
			qmp_request_fail(request, NULL, "Invalid parameter type for '%s'", name);
			return -EINVAL;
		}
	}
	if (json_object_size(arguments) == known)
		return 0;
	qmp_request_fail(request, NULL, "%s takes no such parameter", commands[command].name);
	return -EINVAL;
}

static void on_command(void *data, struct qmp_request *request)
{
	struct vm *vm = data;
	size_t i;

	for (i = 0; i < N_COMMANDS; i++) {
		if (strcmp(qmp_request_command(request), commands[i].name) != 0)
			continue;
		loss_look(vm); /* first: what the command asks for finds it in the queue */
		if (check_arguments(request, i) == 0)
			commands[i].handle(vm, request);
		return;
	}
	qmp_request_not_found(request);
}

int control_start(struct vm *vm, int fd, struct error *err)
{
	static const struct qmp_server_ops ops = { .on_command = on_command };

	return qmp_server_new(&vm->loop, fd, &ops, vm, &vm->server, err);
}

void control_emit(struct vm *vm, const char *event, size_t len)
{
	size_t numbered_len;
	const char *numbered = event_log_add(&vm->events, event, len, &numbered_len);

	if (!numbered || qmp_server_emit(vm->server, numbered, numbered_len) < 0)
		log_warning("out of memory: an event was not passed on");
}

static void emit_ours(struct vm *vm, const char *name, json_t *data)
{
	_cleanup_(str_finish) struct str event = { 0 };

	if (data)
		message_event(&event, name, data);
	json_decref(data);
	if (event.text && !event.failed)
		control_emit(vm, event.text, event.len);
}

void control_emit_lock_state(struct vm *vm)
{
	emit_ours(vm, "VMLATCH_LOCK_STATE",
		json_pack("{s:s, s:s}", "state", vm_lock_state_name(vm->state.lock_state), "cause",
			vm_cause_name(vm->state.cause)));
}

void control_emit_resource(struct vm *vm, const char *what, const struct resource *resource)
{
	emit_ours(vm, "VMLATCH_RESOURCE",
		json_pack("{s:s, s:s, s:s, s:s}", "change", what, "kind",
			resource_kind_name(resource->kind), "path", resource->path, "mode",
			resource_mode_name(resource->mode)));
}
