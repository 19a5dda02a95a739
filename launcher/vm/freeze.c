/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/freeze.h"

#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "launcher/vm/monitor.h"

/* Said once: a shell's "fg" and every further RESUME freeze it again. */
static void tell_untraced(struct vm *vm, int code)
{
	if (!vm->untraced_told)
		log_warning("QEMU (pid %d) cannot be traced (%s): it is stopped by SIGSTOP alone, "
			    "and SIGCONT, or this supervisor's death, may let it go on without its "
			    "locks",
			vm->child.pid, strerror(-code));
	vm->untraced_told = true;
}

static void stop_now(struct vm *vm)
{
	int ret = pidfd_signal(vm->child.pidfd, SIGSTOP);

	if (ret < 0 && ret != -ESRCH)
		log_error("cannot freeze QEMU (pid %d): %s", vm->child.pid, strerror(-ret));
}

void freeze_qemu(struct vm *vm)
{
	int ret;

	stop_now(vm);
	vm->state.frozen = true;
	ret = tracer_hold(&vm->tracer, vm->child.pid);
	if (ret < 0)
		tell_untraced(vm, ret);
}

void freeze_look(struct vm *vm)
{
	int ret = tracer_look(&vm->tracer);

	if (ret < 0)
		tell_untraced(vm, ret);
}

void freeze_thaw(struct vm *vm)
{
	int ret;

	vm->state.frozen = false;
	ret = pidfd_signal(vm->child.pidfd, SIGCONT);
	if (ret < 0 && ret != -ESRCH)
		log_error("cannot let QEMU (pid %d) go on: %s", vm->child.pid, strerror(-ret));
	tracer_let_go(&vm->tracer);
	monitor_resync(vm);
}
