/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/run.h"

#include <errno.h>
#include <stdio.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"
#include "launcher/exit_status.h"
#include "launcher/prepare_sandbox.h"
#include "launcher/vm/signals.h"
#include "launcher/vm/starter.h"

static void say_notices(const struct preparation *preparation)
{
	size_t i;

	for (i = 0; i < preparation->warnings.n; i++)
		log_warning("%s", preparation->warnings.items[i]);
	for (i = 0; i < preparation->pinned.n; i++)
		log_notice("its locks stay until QEMU's end: %s", preparation->pinned.items[i]);
	/* with -S nobody expects it to run by itself */
	if (preparation->plan.incoming && !preparation->plan.user_stopped)
		log_warning("it waits for the migration with nothing locked, and stays paused "
			    "behind it: 'vmlatch resume %s' takes the locks and lets it run",
			preparation->name);
}

/* Nobody has chosen a drop-in's name for vmlatch: that it is in use is no reason not to start. */
static int claim(struct preparation *preparation, struct rundir *rundir, struct error *err)
{
	int ret = rundir_claim(rundir, preparation->name, err);

	if (ret != RUNDIR_IN_USE || !preparation->drop_in)
		return ret;
	preparation->plan.unnamed = true;
	vm_name_add_pid(preparation->name);
	*err = (struct error){ 0 };
	return rundir_claim(rundir, preparation->name, err);
}

/* A drop-in is QEMU to its caller, whose service it is no part of. */
static void find_service_manager(const struct preparation *preparation, struct notify *notify)
{
	struct error err = { 0 };

	if (!preparation->drop_in && notify_take(notify, &err) < 0)
		log_warning("nobody is told when it is ready: %s", err.text);
}

int run_refuse(int code, const struct error *err)
{
	_cleanup_(notify_close) struct notify notify = NOTIFY_INIT;
	struct error ignored = { 0 };

	if (notify_take(&notify, &ignored) == 0)
		notify_refusal(&notify, err->text);
	return exit_failure(code, err);
}

/*
 * For the VM's directory and the event loop, with something to spare: libuv aborts where
 * it finds no room for its first pipe, and the VM would be left as one that is gone.
 */
#define OWN_FILES 16

/* What can fail before there is a VM. */
static int get_ready(struct preparation *preparation, struct rundir *rundir, struct error *err)
{
	int ret = fd_check_room(OWN_FILES, err);

	if (ret < 0)
		return error_status(err, ret, EX_OSERR);
	ret = signals_block(&preparation->plan.signals, &preparation->plan.ignores_children, err);
	if (ret == 0)
		ret = rundir_open(rundir, true, err);
	if (ret == 0)
		ret = claim(preparation, rundir, err);
	return ret == RUNDIR_IN_USE ? error_status(err, -EBUSY, EX_TEMPFAIL) : ret;
}

static int run(struct preparation *preparation, const char *binary)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	_cleanup_(notify_close) struct notify notify = NOTIFY_INIT;
	struct error err = { 0 };
	int ret;

	log_set_vm(preparation->name);
	preparation->plan.starter = -1;
	ret = preparation->plan.daemonizes ? starter_fork(&preparation->plan.starter, &err) : 0;
	if (ret < 0)
		return exit_failure(error_status(&err, ret, EX_OSERR), &err);
	find_service_manager(preparation, &notify);
	ret = get_ready(preparation, &rundir, &err);
	if (ret < 0) {
		notify_refusal(&notify, err.text);
		return exit_failure(ret, &err);
	}
	say_notices(preparation);
	preparation->plan.binary = binary;
	preparation->plan.drop_in = preparation->drop_in;
	prepare_sandbox_of_qemu(preparation, binary);
	preparation->plan.notify = &notify;
	command_line_finish(&preparation->disks.line);
	disk_images_finish(&preparation->disks.images);
	return vm_run(&preparation->plan, &rundir);
}

/*
 * The lock thread may still hang in a call, so nothing is torn down in order:
 * flush and _exit.
 */
void run_prepared(struct preparation *preparation, const char *binary)
{
	int status = run(preparation, binary);

	fflush(NULL);
	_exit(status);
}
