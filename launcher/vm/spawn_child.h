/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/spawn.h"

/* The child's life from fork to exec. @socket: the supervisor's other end. */
void spawn_child(const struct spawn_plan *plan, int socket, pid_t supervisor)
	__attribute__((noreturn));
