/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/binary.h"
#include "launcher/exit_status.h"
#include "launcher/prepare.h"
#include "launcher/verbs.h"
#include "launcher/vm/signals.h"

/* "-version" and the like: nothing to lock, nobody needs us. */
static int become_qemu(char **argv, const char *binary)
{
	struct error err = { 0 };

	execv(binary, argv);
	error_set(&err, -errno, "%s: %s", binary, strerror(errno));
	error_status(&err, 0, EXIT_STATUS_NOT_EXECUTABLE);
	return exit_failure(-errno, &err);
}

static void say_notices(const struct preparation *preparation)
{
	size_t i;

	for (i = 0; i < preparation->warnings.n; i++)
		log_warning("%s", preparation->warnings.items[i]);
	for (i = 0; i < preparation->pinned.n; i++)
		log_notice("its locks stay until QEMU's end: %s", preparation->pinned.items[i]);
}

static int run(struct preparation *preparation, const char *binary)
{
	_cleanup_(rundir_finish) struct rundir rundir = RUNDIR_INIT;
	struct error err = { 0 };
	int ret;

	log_set_vm(preparation->name);
	ret = signals_block(&preparation->plan.signals, &err);
	if (ret == 0)
		ret = rundir_open(&rundir, true, &err);
	if (ret == 0)
		ret = rundir_claim(&rundir, preparation->name, &err);
	if (ret == RUNDIR_IN_USE)
		return exit_failure(error_status(&err, -EBUSY, EX_TEMPFAIL), &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	say_notices(preparation);
	preparation->plan.binary = binary;
	command_line_finish(&preparation->disks.line);
	disk_images_finish(&preparation->disks.images);
	return vm_run(&preparation->plan, &rundir);
}

/*
 * The lock thread may still hang in a call, so nothing is torn down in order:
 * flush and _exit.
 */
int verb_run(char **argv)
{
	_cleanup_(preparation_finish) struct preparation preparation = { 0 };
	_cleanup_(freep) char *binary = NULL;
	struct error err = { 0 };
	int ret, found;

	ret = prepare(argv, 0, &preparation, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	found = binary_find(preparation.options.qemu_argv[0], &binary, &err);
	if (found < 0)
		return exit_failure(found, &err);
	if (ret == PREPARE_NO_VM)
		return become_qemu(preparation.options.qemu_argv, binary);
	ret = run(&preparation, binary);
	fflush(NULL);
	_exit(ret);
}
