/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/unborn.h"

#include <string.h>

#include "base/log.h"

static bool is_held_back(const struct vm *vm)
{
	return vm->plan->verified || vm->plan->incoming;
}

void unborn_watch(struct vm *vm)
{
	/* behind a script or -daemonize QEMU will be another process than this one */
	struct deadman_prey prey = {
		.pidfd = vm->child.pidfd,
		.starter = vm->child.pid,
		.start_time = vm->child.start_time,
	};
	int ret = is_held_back(vm) ? deadman_start(&vm->unborn, &prey) : 0;

	if (ret < 0)
		log_warning("nobody ends QEMU (pid %d) if this supervisor dies before its guest "
			    "runs: %s",
			vm->child.pid, strerror(-ret));
}

/* By the user's -S or 'stop', or for a migration: somebody else may let it run then. */
static bool is_users_to_start(const struct vm *vm)
{
	bool stays = vm->stay || vm->plan->user_stopped;

	return vm->plan->incoming || (stays && !vm->unchecked);
}

static bool is_starting(enum supervisor_state state)
{
	return state == SUP_STARTING || state == SUP_BOOTING || state == SUP_RESUMING;
}

void unborn_settle(struct vm *vm)
{
	bool over = vm->sup == SUP_ENDING || vm->sup == SUP_DONE;

	if (vm->sup == SUP_RUNNING || (is_users_to_start(vm) && !over && !is_starting(vm->sup)))
		deadman_stop(&vm->unborn);
}

void unborn_look(struct vm *vm)
{
	if (deadman_look(&vm->unborn) < 0)
		log_warning("who would end QEMU (pid %d) if this supervisor died has been killed",
			vm->child.pid);
}
