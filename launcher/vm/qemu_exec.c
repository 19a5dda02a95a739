/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/qemu_exec.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "launcher/exit_status.h"
#include "launcher/vm/environment.h"
#include "launcher/vm/spawn_wire.h"

/* As it was without us, where that is what the caller wants. */
void qemu_exec_open_output(struct qemu_exec *exec, const struct spawn_plan *plan)
{
	exec->output = (struct qemu_output){ .stream = -1 };
	if (!plan->keep_environment)
		qemu_output_open(&exec->output);
}

int qemu_exec_prepare(struct qemu_exec *exec, const struct spawn_plan *plan, int config_fd)
{
	char config[32];
	int ret;

	if (!plan->keep_environment)
		environment_clean();
	/* who finds it might put levels before his lines, which nobody takes off there */
	if (exec->output.stream >= 0)
		unsetenv("JOURNAL_STREAM");
	snprintf(config, sizeof(config), "/dev/fd/%d", config_fd);
	ret = qemu_arguments_join(&plan->arguments, config, &exec->argv);
	exec->secret = (struct exec_secret){ plan->binary, exec->argv.items, environ };
	if (ret < 0 || plan->sandbox->mode != SANDBOX_STRICT)
		return ret;
	return exec_secret_make(plan->binary, exec->argv.items, environ, &exec->secret);
}

int qemu_exec_restrict(
	const struct qemu_exec *exec, const struct spawn_plan *plan, int socket, struct error *err)
{
	struct spawn_message message = { .news = SPAWN_SANDBOXED };
	_cleanup_(closep) int listener = -1;
	int ret = sandbox_stage_load(plan->sandbox, &exec->secret, &listener, err);

	if (ret < 0 || listener < 0)
		return ret;
	ret = fd_send(socket, &message, sizeof(message), &listener, 1);
	return ret < 0 ? error_set(err, ret, "hand the filter's listener over: %s", strerror(-ret))
		       : 0;
}

int qemu_exec_run(const struct qemu_exec *exec, struct error *err)
{
	int ret;

	qemu_output_place(&exec->output);
	ret = exec_secret_execute(&exec->secret);
	error_status(err, 0, exit_status_of_exec(-ret));
	return error_set(err, ret, "%s: %s", exec->secret.path, strerror(-ret));
}
