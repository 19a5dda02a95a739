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
