/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/monitor.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/vm/control.h"
#include "launcher/vm/daemon.h"
#include "launcher/vm/loss.h"

/* How long a QEMU whose monitor has gone may take to die before we act. */
#define DEATH_PATIENCE_MS 500

static bool qemu_is_dead(const struct vm *vm)
{
	struct pollfd poll_death = { .fd = vm->child.pidfd, .events = POLLIN };

	return poll(&poll_death, 1, 0) > 0;
}

void monitor_call(struct vm *vm, const struct monitor_call *call)
{
	struct qmp_call options = { .fd = call->fd, .fn = call->fn, .data = call->data };
	struct qmp_reply none = { .words = "QEMU's monitor is not connected" };

	if (!vm->monitor) {
		none.result = -ENOTCONN;
		json_decref(call->arguments);
	} else {
		none.result =
			qmp_client_call(vm->monitor, call->command, call->arguments, &options);
		if (none.result == -EPIPE) /* it breaks just now */
			none.result = -ENOTCONN;
		if (none.result != -ENOTCONN)
			none.words = strerror(-none.result);
	}
	if (none.result < 0 && call->fn)
		call->fn(call->data, &none);
}

static void on_status(void *data, const struct qmp_reply *reply)
{
	struct vm *vm = data;
	bool running;

	if (reply->result != 0) {
		log_debug("query-status: %s", reply->words);
		return;
	}
	running = json_is_true(json_object_get(reply->value, "running"));
	vm_set_run_state(vm, json_string_value(json_object_get(reply->value, "status")));
	vm_save_state(vm);
	if (running && vm->sup != SUP_RUNNING)
		vm_post(vm, SUP_EV_RESUMED);
	else if (!running && vm->sup == SUP_RUNNING)
		vm_post(vm, SUP_EV_STOPPED);
}

void monitor_resync(struct vm *vm)
{
	monitor_call(
		vm, &(struct monitor_call){
			    .command = "query-status", .fd = -1, .fn = on_status, .data = vm });
}

/* Clients of our own socket want to know QEMU's version, as from QEMU itself. */
static void pass_version_on(struct vm *vm, json_t *greeting)
{
	struct message_version version;

	if (json_unpack(greeting, "{s:{s:{s:{s:i, s:i, s:i}}}}", "QMP", "version", "qemu", "major",
		    &version.major, "minor", &version.minor, "micro", &version.micro) == 0)
		qmp_server_set_version(vm->server, version);
}

static void on_ready(void *data, json_t *greeting)
{
	struct vm *vm = data;
	bool first = !vm->monitor_ready;

	pass_version_on(vm, greeting);
	vm->monitor_ready = true;
	vm_post(vm, SUP_EV_MONITOR_READY);
	if (!first && vm->sup != SUP_BOOTING && vm->sup != SUP_DRAINING)
		monitor_resync(vm);
}

/* What a BLOCK_IO_ERROR says, for people. */
static void note_io_error(struct vm *vm, json_t *data)
{
	const char *device = json_string_value(json_object_get(data, "device"));
	const char *node = json_string_value(json_object_get(data, "node-name"));
	const char *reason = json_string_value(json_object_get(data, "reason"));
	const char *action = json_string_value(json_object_get(data, "action"));
	const char *operation = json_string_value(json_object_get(data, "operation"));
	bool full = json_is_true(json_object_get(data, "nospace"));
	char text[512];

	snprintf(text, sizeof(text), "%s of %s failed: %s%s (action %s)",
		operation ? operation : "an operation",
		device && *device ? device
		: node            ? node
				  : "?",
		reason ? reason : "unknown", full ? ", no space" : "", action ? action : "?");
	if (action && strcmp(action, "stop") == 0)
		vm_set_text(&vm->state.cause_detail, text);
}

static void note_watchdog(struct vm *vm, json_t *data)
{
	const char *action = json_string_value(json_object_get(data, "action"));
	char text[64];

	snprintf(text, sizeof(text), "the watchdog fired (action %s)", action ? action : "?");
	if (action && strcmp(action, "pause") == 0)
		vm_set_text(&vm->state.cause_detail, text);
}

static void note_stop(struct vm *vm, json_t *data)
{
	(void)data;
	vm->shutdown_seen = false; /* a QEMU that is about to exit says no STOP */
	vm_post(vm, SUP_EV_STOPPED);
}

static void note_resume(struct vm *vm, json_t *data)
{
	(void)data;
	vm->shutdown_seen = false;
	vm->state.deactivating = vm->state.deactivated = false;
	vm_set_run_state(vm, "running");
	vm_post(vm, SUP_EV_RESUMED);
}

static void note_shutdown(struct vm *vm, json_t *data)
{
	(void)data;
	vm->shutdown_seen = true;
}

static void note_suspend(struct vm *vm, json_t *data)
{
	(void)data;
	vm_set_run_state(vm, "suspended");
	vm_save_state(vm);
}

static void note_wakeup(struct vm *vm, json_t *data)
{
	(void)data;
	vm_set_run_state(vm, "running");
	vm_save_state(vm);
}

/* A reset while the guest is stopped leaves it stopped, in 'prelaunch'. */
static void note_reset(struct vm *vm, json_t *data)
{
	(void)data;
	if (vm->sup != SUP_RUNNING)
		monitor_resync(vm);
}

/* What kept the locks may have ended. */
static void note_job(struct vm *vm, json_t *data)
{
	(void)data;
	if (vm->sup == SUP_PAUSED && vm->retry_release)
		vm_post(vm, SUP_EV_RELEASE_WANTED);
}

static const struct {
	const char *name;
	void (*note)(struct vm *vm, json_t *data);
} known_events[] = {
	{ "STOP", note_stop },
	{ "RESUME", note_resume },
	{ "BLOCK_IO_ERROR", note_io_error },
	{ "WATCHDOG", note_watchdog },
	{ "SHUTDOWN", note_shutdown },
	{ "SUSPEND", note_suspend },
	{ "WAKEUP", note_wakeup },
	{ "RESET", note_reset },
	{ "JOB_STATUS_CHANGE", note_job },
	{ "BLOCK_EXPORT_DELETED", note_job },
	{ "MIGRATION", note_job },
};

static void on_event(void *data, const char *name, json_t *event, const char *raw, size_t raw_len)
{
	struct vm *vm = data;
	size_t i;

	control_emit(vm, raw, raw_len);
	for (i = 0; i < sizeof(known_events) / sizeof(known_events[0]); i++) {
		if (strcmp(name, known_events[i].name) == 0)
			known_events[i].note(vm, json_object_get(event, "data"));
	}
	loss_look(vm);
}

#define MONITOR_BROKE "the connection to its monitor broke: what happened meanwhile is not known"

static void on_patience_over(uv_timer_t *timer)
{
	struct vm *vm = timer->data;
	struct error err = { 0 };

	if (vm->monitor || vm->daemon.fd >= 0 || qemu_is_dead(vm))
		return;
	if (!vm->monitor_ready)
		log_warning("QEMU's monitor has not answered: trying once more");
	if (vm->broken_untold)
		log_notice("its locks stay until QEMU's end: " MONITOR_BROKE);
	vm->broken_untold = false;
	if (monitor_connect(vm, &err) == 0)
		return;
	vm_pin(vm, "QEMU lives, but its monitor cannot be reached any more");
	vm_post(vm, SUP_EV_BLIND);
}

void monitor_retry(struct vm *vm)
{
	uv_timer_start(&vm->patience, on_patience_over, DEATH_PATIENCE_MS, 0);
}

static void on_closed(void *data, const char *reason)
{
	struct vm *vm = data;

	qmp_client_free(vm->monitor);
	vm->monitor = NULL;
	if (qemu_is_dead(vm) || vm->sup == SUP_ENDING || vm->sup == SUP_DONE)
		return;
	log_debug("QEMU's monitor closed: %s", reason);
	/* at once, but told only if QEMU does not turn out to be dead, which closes it too */
	if (vm->monitor_ready && !vm->shutdown_seen)
		vm->broken_untold |= vm_pin_quietly(vm, MONITOR_BROKE);
	monitor_retry(vm);
}

static const struct qmp_client_ops monitor_ops = {
	.on_ready = on_ready,
	.on_event = on_event,
	.on_closed = on_closed,
};

int monitor_use(struct vm *vm, int connection, struct error *err)
{
	_cleanup_(closep) int fd = connection;
	int off = 0, ret;

	setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &off, sizeof(off));
	ret = qmp_client_new(&vm->loop, fd, &monitor_ops, vm, &vm->monitor, err);
	if (ret == 0)
		take_fd(&fd);
	return ret;
}

int monitor_connect(struct vm *vm, struct error *err)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	_cleanup_(closep) int fd = -1;
	int on = 1;

	/* by descriptor: the path may be longer than an address can hold */
	snprintf(address.sun_path, sizeof(address.sun_path), "/proc/self/fd/%d/" RUNDIR_MONITOR,
		vm->rundir->fd);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_PASSCRED, &on, sizeof(on)) < 0 ||
		connect(fd, (struct sockaddr *)&address, sizeof(address)) < 0)
		return error_set(err, -errno, "connect to QEMU's monitor: %s", strerror(errno));
	if (!vm->daemon.known)
		return daemon_await(vm, take_fd(&fd), err);
	return monitor_use(vm, take_fd(&fd), err);
}
