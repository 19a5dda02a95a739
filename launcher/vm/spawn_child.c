/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/spawn_child.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/process.h"
#include "base/str.h"
#include "launcher/trace.h"
#include "launcher/vm/qemu_exec.h"
#include "launcher/vm/spawn_wire.h"

/* What the stages pass on to each other. */
struct child {
	const struct spawn_plan *plan;
	int socket;
	pid_t supervisor;
	char *state; /* what is locked, for the supervisor */
	struct lock_descriptor *descriptors;
	size_t n_descriptors;
	int config_fd;  /* memfd with the monitor's configuration, as QEMU inherits it */
	int monitor_fd; /* the listening socket, likewise */
	struct lock_conflict conflict;
	struct qemu_exec exec;
};

/* Die with the supervisor, or no longer; whoever is dead already counts. */
static int tie_to_supervisor(const struct child *child, bool tie, struct error *err)
{
	if (prctl(PR_SET_PDEATHSIG, tie ? SIGKILL : 0) < 0)
		return error_set(err, -errno, "tie QEMU to its supervisor: %s", strerror(errno));
	if (tie && getppid() != child->supervisor)
		_exit(EX_SOFTWARE);
	return 0;
}

static int child_lock(struct child *child, struct error *err)
{
	struct domain_lock_start start = {
		.register_only = child->plan->register_only,
		.wait_ms = child->plan->wait_ms,
		.pid = getpid(),
	};
	int ret;

	/* who waits for a lock alone, with --wait, would take it later and raise the generation */
	ret = child->plan->in_place ? 0 : tie_to_supervisor(child, true, err);
	if (ret < 0)
		return ret;
	process_start_time(start.pid, &start.start_time);
	ret = privileges_explain(child->plan->credentials,
		domain_lock_process_start(child->plan->domain, &start, &child->conflict, err), err);
	if (ret != 0)
		return ret;
	/* now: the next stage moves the descriptors away from under the lock object */
	ret = domain_lock_process_inquire(child->plan->domain, &child->state, err);
	if (ret < 0)
		return ret;
	return domain_lock_descriptors(
		child->plan->domain, &child->descriptors, &child->n_descriptors, err);
}

/* The text that gives QEMU a monitor without taking away its default one. */
static int make_monitor_config(int monitor_fd, const char *binary)
{
	_cleanup_(closep) int fd = memfd_create(TRACE_MONITOR, MFD_CLOEXEC);
	_cleanup_(str_finish) struct str text = { 0 };
	int ret;

	if (fd < 0)
		return -errno;
	ret = trace_text(binary, &text);
	if (ret < 0)
		return ret;
	str_printf(&text,
		"[chardev \"vmlatch\"]\n"
		"backend = \"socket\"\n"
		"fd = \"%d\"\n"
		"server = \"on\"\n"
		"wait = \"off\"\n"
		"[mon \"vmlatch\"]\n"
		"chardev = \"vmlatch\"\n"
		"mode = \"control\"\n",
		monitor_fd);
	ret = text.failed ? -ENOMEM : fd_write_all(fd, text.text, text.len);
	if (ret < 0)
		return ret;
	return take_fd(&fd);
}

/*
 * QEMU inherits the life lines, the monitor's socket and its configuration, all
 * at the top end below its limit of open files. The rest closes at exec.
 */
static int child_place(struct child *child, struct error *err)
{
	int base = fd_high_base(child->n_descriptors + 2, err);
	int copy, ret = 0;
	size_t i;

	if (base < 0)
		return error_status(err, base, EX_OSERR);
	qemu_exec_open_output(&child->exec, child->plan);
	for (i = 0; i < child->n_descriptors && ret >= 0; i++) {
		struct lock_descriptor *descriptor = &child->descriptors[i];

		if (!descriptor->inherit)
			continue;
		ret = fd_place(descriptor->fd, base);
		if (ret >= 0)
			descriptor->fd = ret;
	}
	copy = dup(child->plan->monitor_fd);
	if (ret >= 0)
		ret = child->monitor_fd = copy < 0 ? -errno : fd_place(copy, base);
	if (ret >= 0)
		ret = child->config_fd =
			make_monitor_config(child->monitor_fd, child->plan->binary);
	if (ret >= 0)
		ret = child->config_fd = fd_place(child->config_fd, base);
	if (ret < 0)
		return error_status(err, error_set(err, ret, "%s", strerror(-ret)), EX_OSERR);
	return 0;
}

/* Give the supervisor its copies and wait for its "I have them". */
static int child_hand_over(struct child *child, struct error *err)
{
	int ret;

	(void)err;
	ret = spawn_wire_send_locks(
		child->socket, child->state, child->descriptors, child->n_descriptors);
	if (ret == 0)
		spawn_wire_await_answer(child->socket);
	return ret;
}

static int load_filter(struct child *child, struct error *err)
{
	int ret;

	ret = qemu_exec_prepare(&child->exec, child->plan, child->config_fd);
	if (ret == 0)
		ret = qemu_exec_restrict(&child->exec, child->plan, child->socket, err);
	return ret < 0 ? error_status(err, ret, EX_OSERR) : 0;
}

static int permitted(int ret, struct error *err)
{
	return ret < 0 ? error_status(err, ret, EX_NOPERM) : 0;
}

static int child_limit(struct child *child, struct error *err)
{
	return permitted(privileges_set_limits(child->plan->privileges, err), err);
}

/* Who may still gain rights by an exec needs some to load a filter: before they are dropped. */
static int child_bound(struct child *child, struct error *err)
{
	int ret = child->plan->sandbox->early ? load_filter(child, err) : 0;

	return ret < 0 ? ret : permitted(privileges_bound(child->plan->privileges, err), err);
}

static int child_become_user(struct child *child, struct error *err)
{
	return permitted(credentials_become(child->plan->credentials, err), err);
}

static int child_drop_capabilities(struct child *child, struct error *err)
{
	int ret = permitted(privileges_drop(child->plan->privileges, err), err);

	if (ret < 0 || child->plan->in_place)
		return ret;
	/* here: a change of user has taken away what the first stage has set */
	return tie_to_supervisor(child, child->plan->die_with_supervisor, err);
}

static int child_gain_no_more(struct child *child, struct error *err)
{
	return permitted(privileges_gain_no_more(child->plan->privileges, err), err);
}

static int child_load_filter(struct child *child, struct error *err)
{
	return child->plan->sandbox->early ? 0 : load_filter(child, err);
}

static int child_exec(struct child *child, struct error *err)
{
	if (child->plan->ignores_children)
		signal(SIGCHLD, SIG_IGN);
	sigprocmask(SIG_SETMASK, &child->plan->signals, NULL);
	return qemu_exec_run(&child->exec, err);
}

void spawn_child(const struct spawn_plan *plan, int socket, pid_t supervisor)
{
	static int (*const stages[STAGE_N])(struct child *, struct error *) = {
		[STAGE_LOCK] = child_lock,
		[STAGE_LIMITS] = child_limit,
		[STAGE_DESCRIPTORS] = child_place,
		[STAGE_HANDOVER] = child_hand_over,
		[STAGE_BOUNDS] = child_bound,
		[STAGE_USER] = child_become_user,
		[STAGE_CAPABILITIES] = child_drop_capabilities,
		[STAGE_NO_NEW_PRIVS] = child_gain_no_more,
		[STAGE_SANDBOX] = child_load_filter,
		[STAGE_EXEC] = child_exec,
	};
	struct child child = { .plan = plan, .socket = socket, .supervisor = supervisor };
	struct spawn_message message = { .news = SPAWN_REFUSED };
	int ret = 0;

	if (plan->in_place) /* until it is QEMU it ends by the signals that end QEMU */
		sigprocmask(SIG_SETMASK, &plan->signals, NULL);
	for (message.stage = 0; message.stage < STAGE_N; message.stage++) {
		ret = stages[message.stage](&child, &message.error);
		if (ret != 0)
			break;
	}
	if (!message.error.text[0])
		error_set(&message.error, ret, "%s", strerror(-ret));
	message.outcome = ret;
	message.conflict = child.conflict;
	spawn_wire_send_refusal(socket, &message);
	_exit(message.error.status ? message.error.status : EX_OSERR);
}
