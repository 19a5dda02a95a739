/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/freeze.h"

#include <signal.h>
#include <string.h>

#include "base/log.h"
#include "launcher/vm/monitor.h"

void freeze_qemu(struct vm *vm)
{
	int ret = pidfd_signal(vm->child.pidfd, SIGSTOP);

	if (ret < 0 && ret != -ESRCH)
		log_error("cannot freeze QEMU (pid %d): %s", vm->child.pid, strerror(-ret));
	vm->state.frozen = true;
}

void freeze_thaw(struct vm *vm)
{
	int ret;

	vm->state.frozen = false;
	ret = pidfd_signal(vm->child.pidfd, SIGCONT);
	if (ret < 0 && ret != -ESRCH)
		log_error("cannot let QEMU (pid %d) go on: %s", vm->child.pid, strerror(-ret));
	monitor_resync(vm);
}
