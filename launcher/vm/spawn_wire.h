/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/spawn.h"

/*
 * What the child writes: one of these; after LOCKED a byte with the state (a
 * memfd), then @n_fds descriptors, FD_MESSAGE_MAX to a byte. Both ends are the
 * same program, forked, so the struct's own layout is the format.
 */
struct spawn_message {
	enum spawn_news news;
	enum stage stage;
	int outcome;
	size_t n_fds;
	struct error error;
	struct lock_conflict conflict;
};

/* What it is answered: to go on, or to exit. One message. */
struct spawn_answer {
	bool admitted;
	int status;
	pid_t supervisor; /* to go on */
};

/* The child's end. */

/* That it has the locks: with the state and the supervisor's copies. 0 or -errno. */
int spawn_wire_send_locks(
	int socket, const char *state, const struct lock_descriptor *descriptors, size_t n);

/* That it could not be started, and wait for the answer. Does not return if the supervisor is dead.
 */
void spawn_wire_send_refusal(int socket, const struct spawn_message *message);

/*
 * Wait for the supervisor's word; that it is to go is the end of it. It may have to
 * freeze QEMU, and Yama lets only ancestors and whom we name (ptrace(2), "ptrace_scope").
 */
void spawn_wire_await_answer(int socket);
