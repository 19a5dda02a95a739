/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/goal.h"

#define REACHED                         \
	{                               \
		.verdict = GOAL_REACHED \
	}
#define POST(what)                                           \
	{                                                    \
		.verdict = GOAL_POST, .event = SUP_EV_##what \
	}
#define FAILED(words)                                  \
	{                                              \
		.verdict = GOAL_FAILED, .why = (words) \
	}
#define OVER [SUP_ENDING] = FAILED("the VM is ending"), [SUP_DONE] = FAILED("the VM has ended")

/* An empty cell: wait, the state is on its way to another. */
static const struct goal_step steps[GOAL_N][SUP_N_STATES] = {
	[GOAL_RELEASED] = {
		[SUP_STARTING] = FAILED("the VM is still starting"),
		[SUP_BOOTING] = FAILED("the VM is still starting"),
		[SUP_RUNNING] = FAILED("the guest runs: 'stop' comes first"),
		[SUP_RESUMING] = FAILED("the guest is being resumed"),
		[SUP_PAUSED] = POST(RELEASE_WANTED),
		[SUP_RELEASED] = REACHED,
		[SUP_FROZEN] = REACHED,
		[SUP_LOST] = FAILED("its locks are lost: 'vmlatch stop' is all that is left"),
		OVER,
	},
	[GOAL_HELD] = {
		[SUP_RUNNING] = REACHED,
		[SUP_RESUMING] = REACHED,
		[SUP_PAUSED] = REACHED,
		[SUP_RELEASED] = POST(ACQUIRE_WANTED),
		[SUP_UNDOING] = POST(ACQUIRE_WANTED),
		[SUP_FROZEN] = POST(ACQUIRE_WANTED),
		[SUP_LOST] = FAILED("its locks are lost: 'vmlatch stop' is all that is left"),
		OVER,
	},
	[GOAL_RUNNING] = {
		[SUP_RUNNING] = REACHED,
		[SUP_PAUSED] = POST(RUN_WANTED),
		[SUP_RELEASED] = POST(ACQUIRE_WANTED),
		[SUP_UNDOING] = POST(ACQUIRE_WANTED),
		[SUP_FROZEN] = POST(ACQUIRE_WANTED),
		[SUP_LOST] = FAILED("its locks are lost: 'vmlatch stop' is all that is left"),
		OVER,
	},
	[GOAL_SETTLED] = {
		[SUP_RUNNING] = REACHED,
		[SUP_PAUSED] = REACHED,
		[SUP_RELEASED] = REACHED,
		[SUP_FROZEN] = REACHED,
		[SUP_LOST] = REACHED,
		OVER,
	},
};

struct goal_step goal_next(enum goal goal, enum supervisor_state state, unsigned *tried)
{
	struct goal_step step = steps[goal][state];

	if (step.verdict != GOAL_POST)
		return step;
	if (*tried & 1u << step.event)
		return (struct goal_step){ .verdict = GOAL_FAILED };
	*tried |= 1u << step.event;
	return step;
}
