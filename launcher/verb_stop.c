/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/log.h"
#include "launcher/exit_status.h"
#include "launcher/verbs.h"
#include "launcher/vm_select.h"

/* A VM that is to end: descriptors that stand for these very processes. */
struct ending {
	const struct vm_job *job;
	int qemu;       /* -1: it is dead, or was never there */
	int supervisor; /* likewise */
};

static void ending_finish(struct ending *ending)
{
	closep(&ending->qemu);
	closep(&ending->supervisor);
}

/* True if the process ends in time; -1 has ended. */
static bool wait_for_end(int pidfd, int64_t timeout_ms)
{
	int64_t deadline = clock_monotonic_ms() + timeout_ms, left;
	struct pollfd poller = { .fd = pidfd, .events = POLLIN };

	if (pidfd < 0)
		return true;
	for (;;) {
		left = deadline - clock_monotonic_ms();
		if (poll(&poller, 1, left < 0 ? 0 : left) > 0)
			return true;
		if (left <= 0)
			return false;
	}
}

/*
 * The steps. Each returns 0 or -errno with a sentence: it was not possible.
 * SIGTERM goes to the supervisor, never to QEMU: of a VM that has given its locks
 * back QEMU must not do an orderly exit, which may write to the disks (the
 * supervisor knows, and makes it a SIGKILL).
 */
static int ask(const struct ending *ending, const char *command, struct error *err)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	int ret;

	if (ending->job->args->timeout_ms < client.timeout_ms)
		client.timeout_ms = ending->job->args->timeout_ms;
	ret = vm_job_connect(ending->job, &client, err);
	if (ret == 0)
		ret = control_client_call(&client, command, NULL, err);
	if (ret == -ECONNRESET)
		return 0; /* it went before it answered */
	return ret > 0 ? -EPROTO : ret;
}

static int press_power_button(const struct ending *ending, struct error *err)
{
	return ask(ending, "system_powerdown", err);
}

static int ask_quit(const struct ending *ending, struct error *err)
{
	return ask(ending, "quit", err);
}

static int send_term(const struct ending *ending, struct error *err)
{
	int ret = ending->supervisor < 0 ? -ESRCH : pidfd_signal(ending->supervisor, SIGTERM);

	return ret < 0 ? error_set(err, ret, "SIGTERM: %s", strerror(-ret)) : 0;
}

static int send_kill(const struct ending *ending, struct error *err)
{
	int ret = pidfd_signal(ending->qemu, SIGKILL);

	return ret < 0 ? error_set(err, ret, "SIGKILL: %s", strerror(-ret)) : 0;
}

static const struct rung {
	const char *name;
	int (*climb)(const struct ending *ending, struct error *err);
	bool is_optional; /* only with --powerdown, which is its time */
} ladder[] = {
	{ "powerdown", press_power_button, .is_optional = true },
	{ "quit", ask_quit },
	{ "SIGTERM", send_term },
	{ "SIGKILL", send_kill },
};

static void say_supervisor_stays(pid_t supervisor, const char *rung)
{
	if (process_is_stopped(supervisor))
		log_error("QEMU has ended (%s), but its supervisor (pid %d) does not answer: it is "
			  "stopped (state T), and the disks stay locked; 'kill -CONT %d' lets it "
			  "go on and end",
			rung, supervisor, supervisor);
	else
		log_error("QEMU has ended (%s), but its supervisor still waits for its last I/O",
			rung);
}

static int64_t rung_timeout(const struct ending *ending, const struct rung *rung)
{
	const struct verb_args *args = ending->job->args;

	return rung->is_optional ? args->powerdown_ms : args->timeout_ms;
}

/* QEMU is dead; the disks are free when its supervisor has gone too. */
static int finish_stop(const struct ending *ending, const char *rung)
{
	if (!wait_for_end(ending->supervisor, ending->job->args->timeout_ms)) {
		say_supervisor_stays(ending->job->vm->state.supervisor.pid, rung);
		return EX_UNAVAILABLE;
	}
	printf("%s: stopped by %s\n", ending->job->vm->name, rung);
	return 0;
}

static int climb(const struct ending *ending)
{
	size_t i, n = sizeof(ladder) / sizeof(ladder[0]);
	struct error err = { 0 };
	int ret;

	for (i = 0; i < n; i++) {
		int64_t timeout_ms = rung_timeout(ending, &ladder[i]);

		if (ladder[i].is_optional && !timeout_ms)
			continue;
		ret = ladder[i].climb(ending, &err);
		if (ret == -ESRCH && wait_for_end(ending->qemu, 0))
			ret = 0;
		if (ret < 0)
			log_notice("%s did not work: %s", ladder[i].name, err.text);
		else if (wait_for_end(ending->qemu, timeout_ms))
			return finish_stop(ending, ladder[i].name);
	}
	log_error("QEMU does not end, not even by SIGKILL");
	return EX_UNAVAILABLE;
}

/* Descriptors of the processes that the state names; what is dead is -1. */
static int find_processes(struct ending *ending, struct error *err)
{
	const struct vm_state *state = &ending->job->vm->state;
	int ret;

	ret = ending->qemu = vm_state_open_process(state, &state->qemu);
	if (ret >= 0 || ret == -ESRCH)
		ret = ending->supervisor = vm_state_open_process(state, &state->supervisor);
	if (ret >= 0 || ret == -ESRCH)
		return 0;
	return error_set(err, ret, "watch its processes: %s", strerror(-ret));
}

static int stop_one(const struct vm_job *job, void *data)
{
	_cleanup_(
		ending_finish) struct ending ending = { .job = job, .qemu = -1, .supervisor = -1 };
	struct error err = { 0 };
	int ret;

	(void)data;
	if (job->vm->presence == VM_GONE)
		return 0;
	if (job->vm->presence == VM_UNSUPERVISED || job->vm->presence == VM_UNKNOWN)
		return exit_failure(vm_job_unsupervised(job, &err), &err);
	if (!job->vm->readable) {
		log_error("%s; try again", job->vm->problem);
		return EX_UNAVAILABLE;
	}
	ret = find_processes(&ending, &err);
	return ret < 0 ? exit_failure(ret, &err) : climb(&ending);
}

int verb_stop(char **argv)
{
	return vm_verb(argv, SIZE_MAX, stop_one);
}
