/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/supervisor.h"

/* clang-format off: one row a line */

/*
 * An empty cell means "cannot happen": it is logged, and the state is kept.
 * A cell that stays where it is and does nothing is for what may happen, such
 * as the late answer to a question that was given up.
 */
#define GO(state, what)                                                  \
	{                                                                \
		.possible = true, .next = SUP_##state, .actions = (what) \
	}
#define ENDS [SUP_EV_EXITED] = GO(DONE, DO_END)

const struct supervisor_step supervisor_steps[SUP_N_STATES][SUP_N_EVENTS] = {
	[SUP_STARTING] = {
		[SUP_EV_CHILD_LOCKED]    = GO(BOOTING, DO_ADMIT),
		[SUP_EV_CHILD_REFUSED]   = GO(ENDING, DO_REFUSE),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_KILL),
		ENDS,
	},
	[SUP_BOOTING] = {
		[SUP_EV_CHILD_REFUSED]   = GO(ENDING, DO_REFUSE), /* exec failed */
		[SUP_EV_MONITOR_READY]   = GO(BOOTING, DO_CHECK),
		[SUP_EV_BOOT_RUN]        = GO(RESUMING, DO_CONT),
		[SUP_EV_BOOT_STAY]       = GO(PAUSED, 0),
		[SUP_EV_BOOT_RUNNING]    = GO(RUNNING, 0),
		[SUP_EV_BOOT_STOPPED]    = GO(DRAINING, DO_DRAIN), /* as on every STOP */
		[SUP_EV_BOOT_REGISTERED] = GO(RELEASED, 0),
		[SUP_EV_BOOT_REFUSED]    = GO(ENDING, DO_REFUSE | DO_KILL),
		[SUP_EV_STOPPED]         = GO(BOOTING, 0), /* the check ends by asking */
		[SUP_EV_RESUMED]         = GO(BOOTING, 0),
		[SUP_EV_LOCK_LOST]       = GO(LOST, DO_FREEZE | DO_POLICY),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_FORWARD),
		[SUP_EV_BLIND]           = GO(BOOTING, 0),
		ENDS,
	},
	[SUP_RUNNING] = {
		[SUP_EV_MONITOR_READY]   = GO(RUNNING, 0),
		[SUP_EV_STOPPED]         = GO(DRAINING, DO_DRAIN),
		[SUP_EV_RESUMED]         = GO(RUNNING, 0),
		[SUP_EV_CONT_FAILED]     = GO(DRAINING, DO_DRAIN),
		[SUP_EV_LOCK_LOST]       = GO(LOST, DO_FREEZE | DO_POLICY),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_FORWARD),
		[SUP_EV_BLIND]           = GO(RUNNING, 0),
		ENDS,
	},
	[SUP_DRAINING] = {
		[SUP_EV_MONITOR_READY]   = GO(DRAINING, DO_DRAIN),
		[SUP_EV_STOPPED]         = GO(DRAINING, 0), /* spurious, or once more: the barrier decides */
		[SUP_EV_RESUMED]         = GO(RUNNING, DO_ABORT),
		[SUP_EV_DRAINED]         = GO(SAVING, DO_SAVE),
		[SUP_EV_KEPT]            = GO(PAUSED, 0),
		[SUP_EV_NOT_STOPPED]     = GO(RUNNING, 0),
		[SUP_EV_LOCK_LOST]       = GO(LOST, DO_ABORT | DO_FREEZE | DO_POLICY),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_ABORT | DO_FORWARD),
		[SUP_EV_BLIND]           = GO(PAUSED, DO_ABORT),
		ENDS,
	},
	[SUP_PAUSED] = {
		[SUP_EV_MONITOR_READY]   = GO(PAUSED, 0),
		[SUP_EV_STOPPED]         = GO(DRAINING, DO_DRAIN),
		[SUP_EV_RESUMED]         = GO(RUNNING, 0),
		[SUP_EV_RELEASE_WANTED]  = GO(DRAINING, DO_DRAIN),
		[SUP_EV_RUN_WANTED]      = GO(RESUMING, DO_CONT),
		[SUP_EV_LOCK_LOST]       = GO(LOST, DO_FREEZE | DO_POLICY),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_FORWARD),
		[SUP_EV_BLIND]           = GO(PAUSED, 0),
		ENDS,
	},
	[SUP_SAVING] = {
		[SUP_EV_MONITOR_READY]   = GO(SAVING, 0),
		[SUP_EV_STOPPED]         = GO(SAVING, 0),
		[SUP_EV_RESUMED]         = GO(RUNNING, DO_ABORT),
		[SUP_EV_SAVED]           = GO(RELEASING, DO_UNLOCK),
		[SUP_EV_SAVE_FAILED]     = GO(PAUSED, 0),
		[SUP_EV_LOCK_LOST]       = GO(LOST, DO_ABORT | DO_FREEZE | DO_POLICY),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_ABORT | DO_FORWARD),
		[SUP_EV_BLIND]           = GO(PAUSED, DO_ABORT),
		ENDS,
	},
	[SUP_RELEASING] = {
		[SUP_EV_MONITOR_READY]   = GO(RELEASING, 0),
		[SUP_EV_STOPPED]         = GO(RELEASING, 0),
		[SUP_EV_RESUMED]         = GO(THAWING, DO_LOCK | DO_FREEZE),
		[SUP_EV_UNLOCKED]        = GO(RELEASED, 0),
		[SUP_EV_UNLOCK_FAILED]   = GO(PAUSED, 0),
		[SUP_EV_OUTGROWN]        = GO(SAVING, DO_SAVE),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_END_IDLE),
		[SUP_EV_BLIND]           = GO(THAWING, DO_LOCK | DO_FREEZE),
		ENDS,
	},
	[SUP_RELEASED] = {
		[SUP_EV_MONITOR_READY]   = GO(RELEASED, 0),
		[SUP_EV_STOPPED]         = GO(RELEASED, 0),
		[SUP_EV_RESUMED]         = GO(THAWING, DO_LOCK | DO_FREEZE),
		[SUP_EV_ACQUIRE_WANTED]  = GO(ACQUIRING, DO_LOCK),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_END_IDLE),
		[SUP_EV_BLIND]           = GO(FROZEN, DO_FREEZE),
		ENDS,
	},
	[SUP_ACQUIRING] = {
		[SUP_EV_MONITOR_READY]   = GO(ACQUIRING, 0),
		[SUP_EV_STOPPED]         = GO(ACQUIRING, 0),
		[SUP_EV_RESUMED]         = GO(THAWING, DO_FREEZE),
		[SUP_EV_ACQUIRED]        = GO(PAUSED, 0),
		[SUP_EV_ACQUIRED_NEW]    = GO(CHECKING, 0),
		[SUP_EV_REFUSED]         = GO(RELEASED, DO_POLICY),
		[SUP_EV_ACQUIRE_LATE]    = GO(UNDOING, DO_POLICY),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_END_IDLE),
		[SUP_EV_BLIND]           = GO(THAWING, DO_FREEZE),
		ENDS,
	},
	[SUP_UNDOING] = {
		[SUP_EV_MONITOR_READY]   = GO(UNDOING, 0),
		[SUP_EV_STOPPED]         = GO(UNDOING, 0),
		[SUP_EV_RESUMED]         = GO(THAWING, DO_FREEZE),
		[SUP_EV_ACQUIRE_WANTED]  = GO(ACQUIRING, DO_AWAIT), /* what is under way serves */
		[SUP_EV_ACQUIRED]        = GO(SAVING, DO_SAVE), /* armed it is newer than what was saved */
		[SUP_EV_ACQUIRED_NEW]    = GO(SAVING, DO_SAVE),
		[SUP_EV_REFUSED]         = GO(RELEASED, DO_POLICY),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_END_IDLE),
		[SUP_EV_BLIND]           = GO(THAWING, DO_FREEZE),
		ENDS,
	},
	[SUP_CHECKING] = {
		[SUP_EV_MONITOR_READY]   = GO(CHECKING, 0),
		[SUP_EV_STOPPED]         = GO(CHECKING, 0),
		[SUP_EV_RESUMED]         = GO(RUNNING, 0), /* under its locks; the check goes on */
		[SUP_EV_ACQUIRED]        = GO(PAUSED, 0),
		[SUP_EV_UNFIT]           = GO(SAVING, DO_SAVE),
		[SUP_EV_LOCK_LOST]       = GO(LOST, DO_FREEZE | DO_POLICY),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_END_IDLE), /* not all may be locked */
		[SUP_EV_BLIND]           = GO(PAUSED, 0),
		ENDS,
	},
	[SUP_RESUMING] = {
		[SUP_EV_MONITOR_READY]   = GO(RESUMING, 0),
		[SUP_EV_STOPPED]         = GO(DRAINING, DO_DRAIN),
		[SUP_EV_RESUMED]         = GO(RUNNING, 0),
		[SUP_EV_CONT_FAILED]     = GO(PAUSED, 0),
		[SUP_EV_LOCK_LOST]       = GO(LOST, DO_FREEZE | DO_POLICY),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_FORWARD),
		[SUP_EV_BLIND]           = GO(RUNNING, 0),
		ENDS,
	},
	[SUP_THAWING] = {
		[SUP_EV_MONITOR_READY]   = GO(THAWING, 0),
		[SUP_EV_STOPPED]         = GO(THAWING, 0), /* asked for after the thaw */
		[SUP_EV_RESUMED]         = GO(THAWING, 0),
		[SUP_EV_UNLOCKED]        = GO(THAWING, 0), /* the release that was under way */
		[SUP_EV_UNLOCK_FAILED]   = GO(THAWING, 0),
		[SUP_EV_OUTGROWN]        = GO(THAWING, 0), /* held all along */
		[SUP_EV_ACQUIRED]        = GO(RUNNING, DO_THAW),
		[SUP_EV_ACQUIRED_NEW]    = GO(RUNNING, DO_THAW), /* frozen it could not be asked */
		[SUP_EV_REFUSED]         = GO(FROZEN, DO_POLICY),
		[SUP_EV_ACQUIRE_LATE]    = GO(THAWING, DO_POLICY),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_KILL),
		[SUP_EV_BLIND]           = GO(THAWING, 0),
		ENDS,
	},
	[SUP_FROZEN] = {
		[SUP_EV_MONITOR_READY]   = GO(FROZEN, 0),
		[SUP_EV_STOPPED]         = GO(FROZEN, 0),
		[SUP_EV_RESUMED]         = GO(FROZEN, DO_FREEZE),
		[SUP_EV_ACQUIRE_WANTED]  = GO(THAWING, DO_LOCK),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_KILL),
		[SUP_EV_BLIND]           = GO(FROZEN, 0),
		ENDS,
	},
	[SUP_LOST] = {
		[SUP_EV_MONITOR_READY]   = GO(LOST, 0),
		[SUP_EV_STOPPED]         = GO(LOST, 0),
		[SUP_EV_RESUMED]         = GO(LOST, DO_FREEZE),
		[SUP_EV_SAVED]           = GO(LOST, 0),
		[SUP_EV_SAVE_FAILED]     = GO(LOST, 0),
		[SUP_EV_LOCK_LOST]       = GO(LOST, 0),
		[SUP_EV_CONT_FAILED]     = GO(LOST, 0),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_KILL),
		[SUP_EV_BLIND]           = GO(LOST, 0),
		ENDS,
	},
	[SUP_ENDING] = {
		[SUP_EV_CHILD_LOCKED]    = GO(ENDING, DO_KILL),
		[SUP_EV_CHILD_REFUSED]   = GO(ENDING, 0),
		[SUP_EV_MONITOR_READY]   = GO(ENDING, 0),
		[SUP_EV_BOOT_RUN]        = GO(ENDING, 0),
		[SUP_EV_BOOT_STAY]       = GO(ENDING, 0),
		[SUP_EV_BOOT_RUNNING]    = GO(ENDING, 0),
		[SUP_EV_BOOT_STOPPED]    = GO(ENDING, 0),
		[SUP_EV_BOOT_REGISTERED] = GO(ENDING, 0),
		[SUP_EV_BOOT_REFUSED]    = GO(ENDING, DO_KILL),
		[SUP_EV_STOPPED]         = GO(ENDING, 0),
		[SUP_EV_RESUMED]         = GO(ENDING, DO_END_IDLE),
		[SUP_EV_UNLOCKED]        = GO(ENDING, 0),
		[SUP_EV_UNLOCK_FAILED]   = GO(ENDING, 0),
		[SUP_EV_OUTGROWN]        = GO(ENDING, 0),
		[SUP_EV_ACQUIRED]        = GO(ENDING, 0),
		[SUP_EV_ACQUIRED_NEW]    = GO(ENDING, 0),
		[SUP_EV_REFUSED]         = GO(ENDING, 0),
		[SUP_EV_ACQUIRE_LATE]    = GO(ENDING, 0),
		[SUP_EV_CONT_FAILED]     = GO(ENDING, 0),
		[SUP_EV_LOCK_LOST]       = GO(ENDING, DO_KILL),
		[SUP_EV_END_WANTED]      = GO(ENDING, DO_KILL),
		[SUP_EV_BLIND]           = GO(ENDING, 0),
		ENDS,
	},
};

/* clang-format on */

static const char *const state_names[SUP_N_STATES] = {
	[SUP_STARTING] = "starting",
	[SUP_BOOTING] = "booting",
	[SUP_RUNNING] = "running",
	[SUP_DRAINING] = "draining",
	[SUP_PAUSED] = "paused",
	[SUP_SAVING] = "saving",
	[SUP_RELEASING] = "releasing",
	[SUP_RELEASED] = "released",
	[SUP_ACQUIRING] = "acquiring",
	[SUP_UNDOING] = "undoing",
	[SUP_CHECKING] = "checking",
	[SUP_RESUMING] = "resuming",
	[SUP_THAWING] = "thawing",
	[SUP_FROZEN] = "frozen",
	[SUP_LOST] = "lost",
	[SUP_ENDING] = "ending",
	[SUP_DONE] = "done",
};

static const char *const event_names[SUP_N_EVENTS] = {
	[SUP_EV_CHILD_LOCKED] = "child-locked",
	[SUP_EV_CHILD_REFUSED] = "child-refused",
	[SUP_EV_MONITOR_READY] = "monitor-ready",
	[SUP_EV_BOOT_RUN] = "boot-run",
	[SUP_EV_BOOT_STAY] = "boot-stay",
	[SUP_EV_BOOT_RUNNING] = "boot-running",
	[SUP_EV_BOOT_STOPPED] = "boot-stopped",
	[SUP_EV_BOOT_REGISTERED] = "boot-registered",
	[SUP_EV_BOOT_REFUSED] = "boot-refused",
	[SUP_EV_STOPPED] = "stopped",
	[SUP_EV_RESUMED] = "resumed",
	[SUP_EV_DRAINED] = "drained",
	[SUP_EV_KEPT] = "kept",
	[SUP_EV_NOT_STOPPED] = "not-stopped",
	[SUP_EV_SAVED] = "saved",
	[SUP_EV_SAVE_FAILED] = "save-failed",
	[SUP_EV_UNLOCKED] = "unlocked",
	[SUP_EV_UNLOCK_FAILED] = "unlock-failed",
	[SUP_EV_OUTGROWN] = "outgrown",
	[SUP_EV_RELEASE_WANTED] = "release-wanted",
	[SUP_EV_ACQUIRE_WANTED] = "acquire-wanted",
	[SUP_EV_RUN_WANTED] = "run-wanted",
	[SUP_EV_ACQUIRED] = "acquired",
	[SUP_EV_ACQUIRED_NEW] = "acquired-new",
	[SUP_EV_REFUSED] = "refused",
	[SUP_EV_ACQUIRE_LATE] = "acquire-late",
	[SUP_EV_UNFIT] = "unfit",
	[SUP_EV_CONT_FAILED] = "cont-failed",
	[SUP_EV_LOCK_LOST] = "lock-lost",
	[SUP_EV_END_WANTED] = "end-wanted",
	[SUP_EV_BLIND] = "blind",
	[SUP_EV_EXITED] = "exited",
};

static const bool held[SUP_N_STATES] = {
	[SUP_BOOTING] = true,
	[SUP_RUNNING] = true,
	[SUP_DRAINING] = true,
	[SUP_PAUSED] = true,
	[SUP_SAVING] = true,
	[SUP_CHECKING] = true,
	[SUP_RESUMING] = true,
};

const char *supervisor_state_name(enum supervisor_state state)
{
	return state_names[state];
}

const char *supervisor_event_name(enum supervisor_event event)
{
	return event_names[event];
}

bool supervisor_state_is_held(enum supervisor_state state)
{
	return held[state];
}
