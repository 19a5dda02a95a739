/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * The supervisor of one VM as a table: states x events -> next state, actions.
 * Pure: it does nothing, and knows no QMP, no lock and no process. vm.c turns
 * what happens into events and performs the actions.
 *
 *	STARTING -> BOOTING -> RESUMING -> RUNNING -> DRAINING -> SAVING ->
 *	RELEASING -> RELEASED -> ACQUIRING (-> CHECKING) -> PAUSED -> RESUMING ...
 *
 * What must never happen is written down as properties of the whole table, in
 * tests/unit/test_supervisor.c.
 */

enum supervisor_state {
	SUP_STARTING,  /* the child takes its locks; QEMU is not there yet */
	SUP_BOOTING,   /* QEMU is there; its block graph is not compared yet */
	SUP_RUNNING,   /* the guest runs, its locks are held */
	SUP_DRAINING,  /* stopped, held: waiting for the last write, jobs, deactivation */
	SUP_PAUSED,    /* stopped, held */
	SUP_SAVING,    /* stopped, held: the lock state is being written down */
	SUP_RELEASING, /* stopped: the locks are being given back */
	SUP_RELEASED,  /* stopped, nothing held (or registered only) */
	SUP_ACQUIRING, /* stopped: the locks are being taken again */
	SUP_UNDOING,   /* the same, too late: what comes of it is given back */
	SUP_CHECKING,  /* stopped, held: some of it is new to QEMU, and its graph is compared */
	SUP_RESUMING,  /* held: 'cont' is on its way */
	SUP_THAWING,   /* frozen by us, the locks are being taken */
	SUP_FROZEN,    /* frozen by us: resumed behind our back, and the locks are not ours */
	SUP_LOST,      /* frozen by us: what we held is not ours any more */
	SUP_ENDING,    /* QEMU was told to end, or killed */
	SUP_DONE,
	SUP_N_STATES,
};

enum supervisor_event {
	SUP_EV_CHILD_LOCKED = 1, /* start: everything is held and armed (or registered) */
	SUP_EV_CHILD_REFUSED,    /* start: busy, or an error */
	SUP_EV_MONITOR_READY,    /* QEMU's monitor answers */
	SUP_EV_BOOT_RUN,         /* the block graph is what is locked: let the guest run */
	SUP_EV_BOOT_STAY,        /* the same, and the user wants the guest to wait (-S) */
	SUP_EV_BOOT_RUNNING,     /* the guest runs already (direct start) */
	SUP_EV_BOOT_STOPPED,     /* it ran already, and something has stopped it (direct start) */
	SUP_EV_BOOT_REGISTERED,  /* nothing is to be held yet (-incoming) */
	SUP_EV_BOOT_REFUSED,     /* the block graph has what cannot be locked */
	SUP_EV_STOPPED,          /* QEMU says STOP */
	SUP_EV_RESUMED,          /* QEMU says RESUME */
	SUP_EV_DRAINED,          /* stopped, the last write is done, nothing may write any more */
	SUP_EV_KEPT,             /* stopped, and the locks must stay */
	SUP_EV_NOT_STOPPED,      /* it runs, whatever STOP said */
	SUP_EV_SAVED,            /* the lock state stands in state.json */
	SUP_EV_SAVE_FAILED,
	SUP_EV_UNLOCKED,
	SUP_EV_UNLOCK_FAILED,
	SUP_EV_OUTGROWN,       /* not unlocked: something has come or gone since it was saved */
	SUP_EV_RELEASE_WANTED, /* by a user, or the wait of --release-after is over */
	SUP_EV_ACQUIRE_WANTED,
	SUP_EV_RUN_WANTED,
	SUP_EV_ACQUIRED,     /* held, verified, armed */
	SUP_EV_ACQUIRED_NEW, /* the same, and QEMU has to be asked and told about it yet */
	SUP_EV_REFUSED,      /* busy, stale or an error; nothing is held */
	SUP_EV_ACQUIRE_LATE, /* past its deadline, and still under way */
	SUP_EV_UNFIT,        /* acquired, and QEMU must not go on with it all the same */
	SUP_EV_CONT_FAILED,  /* QEMU refused 'cont' */
	SUP_EV_LOCK_LOST,    /* what was held is not ours any more */
	SUP_EV_END_WANTED,   /* quit, SIGTERM and the like */
	SUP_EV_BLIND,        /* QEMU lives, its monitor cannot be reached any more */
	SUP_EV_EXITED,       /* QEMU is dead */
	SUP_N_EVENTS,
};

enum supervisor_action {
	DO_ABORT = 1 << 0,    /* forget the drain or the saving that is under way */
	DO_FREEZE = 1 << 1,   /* stop QEMU from outside, before anything else */
	DO_ADMIT = 1 << 2,    /* "I have them": let the child exec QEMU, connect to its monitor */
	DO_REFUSE = 1 << 3,   /* say why nothing was started */
	DO_CHECK = 1 << 4,    /* compare QEMU's block graph with the lock set */
	DO_CONT = 1 << 5,     /* see that what is held is still ours, then 'cont' */
	DO_DRAIN = 1 << 6,    /* barrier, jobs and exports, deactivation */
	DO_SAVE = 1 << 7,     /* inquire, with stamps; write state.json */
	DO_UNLOCK = 1 << 8,   /* give the locks back */
	DO_LOCK = 1 << 9,     /* acquire, verify, arm */
	DO_THAW = 1 << 10,    /* let it go on, then ask QEMU how it is */
	DO_POLICY = 1 << 11,  /* --on-lock-failure */
	DO_FORWARD = 1 << 12, /* pass the end request on to QEMU */
	DO_END_IDLE =
		1 << 13,   /* the same while nothing is held: SIGKILL, unless QEMU is deactivated */
	DO_KILL = 1 << 14, /* SIGKILL to QEMU */
	DO_END = 1 << 15,  /* QEMU is dead: let go when its last write is done, leave */
	DO_AWAIT = 1 << 16, /* the DO_LOCK that is under way has its time once more */
};
#define SUP_N_ACTIONS 17

struct supervisor_step {
	bool possible;
	enum supervisor_state next;
	unsigned actions; /* performed in the order of their values */
};

extern const struct supervisor_step supervisor_steps[SUP_N_STATES][SUP_N_EVENTS];

const char *supervisor_state_name(enum supervisor_state state);
const char *supervisor_event_name(enum supervisor_event event);

/* Are the locks held for sure in this state, so that the guest may run? */
bool supervisor_state_is_held(enum supervisor_state state);
