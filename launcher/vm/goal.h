/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/supervisor.h"

/*
 * What a client waits for, as a table: goals x the supervisor's states -> what
 * to do next on the way there. Pure.
 */
enum goal {
	GOAL_RELEASED, /* vmlatch-release */
	GOAL_HELD,     /* vmlatch-acquire */
	GOAL_RUNNING,  /* cont */
	GOAL_SETTLED,  /* nothing is under way: attach, detach, inquire */
	GOAL_N,
};

enum goal_verdict {
	GOAL_WAIT,
	GOAL_REACHED,
	GOAL_POST,   /* post the event, once for each; come back here: failed */
	GOAL_FAILED, /* it cannot be reached from here */
};

struct goal_step {
	enum goal_verdict verdict;
	enum supervisor_event event; /* GOAL_POST */
	const char *why;             /* GOAL_FAILED */
};

/*
 * @tried	the events that were posted for this goal, a bit each; gets the
 *		one that is to be posted now
 *
 * FAILED without a @why: what was posted did not help; the VM knows why.
 */
struct goal_step goal_next(enum goal goal, enum supervisor_state state, unsigned *tried);
