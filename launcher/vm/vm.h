/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <uv.h>

#include "base/credentials.h"
#include "base/error.h"
#include "launcher/options.h"
#include "launcher/vm/deadman.h"
#include "launcher/vm/event_log.h"
#include "launcher/vm/lock_worker.h"
#include "launcher/vm/rundir.h"
#include "launcher/vm/sandbox_stage.h"
#include "launcher/vm/service.h"
#include "launcher/vm/spawn.h"
#include "launcher/vm/state.h"
#include "launcher/vm/supervisor.h"
#include "launcher/vm/tracer.h"
#include "locking/domain_lock.h"
#include "qmp/client.h"
#include "qmp/server.h"

/*
 * One running VM: what happens is posted as an event, the table (supervisor.h)
 * says what to do, and the files beside this one do it. All of it is on one
 * thread, but for the lock calls (locks.c).
 */

/* What 'run' has found out before the fork; borrowed for the VM's life. */
struct vm_plan {
	const struct options *options;
	const char *binary; /* QEMU's path */
	char **argv;        /* QEMU's arguments as the user gave them */
	const struct credentials *credentials;
	const struct privileges *privileges;
	const struct sandbox_plan *sandbox;
	const struct resource_set *resources;
	const struct strv *pinned; /* why it never releases; empty: it may */
	unsigned release_on;       /* enum release_on */
	bool verified;             /* --start verified: we add -S and compare */
	bool user_stopped;         /* the user's own -S */
	bool preconfig;            /* the user's own --preconfig */
	bool incoming;             /* register only */
	bool in_place;             /* we become QEMU, the supervisor is a process of its own */
	bool daemonizes;           /* QEMU leaves us behind by itself: only in place */
	const char *directory; /* where QEMU is started, if it leaves that (or its root); NULL */
	bool drop_in;          /* QEMU to its caller, whose environment it has as it is */
	int starter;           /* who waits for our word (starter.h); -1: nobody */
	bool unnamed;          /* nobody has named it: its end is nobody's to ask for */
	sigset_t signals;      /* the mask that QEMU starts with (signals_block()) */
	bool ignores_children; /* likewise */
	const struct notify *notify; /* the service manager's socket */
};

/* A VM of one process: static in vm_run(), so that nothing dangles at the end. */
struct vm {
	const struct vm_plan *plan;
	uv_loop_t loop;
	struct rundir *rundir;
	struct vm_state state; /* what state.json says */
	enum supervisor_state sup;
	unsigned pending[64]; /* events to come, a ring */
	unsigned first_pending, n_pending;
	bool pumping;

	struct domain_lock *domain; /* lock thread only, once the worker has its first job */
	struct lock_worker *worker;
	struct lock_params lock_params;
	struct resource_set in_qemu; /* whose life lines QEMU has */
	struct planted {
		struct resource resource;
		uint64_t number;
	} * planted; /* those that it was given by name, after its start */
	size_t n_planted;
	bool broken_untold; /* that its monitor broke has not been said yet */
	int lost_fd;        /* the lock object's, watched by @loss; -1: none */
	uv_poll_t loss;
	uv_timer_t loss_again;    /* what was lost could not be looked at: another try */
	uint64_t loss_wait_ms;    /* before that one; 0: the last look told */
	bool loss_looks;          /* a look is on its way */
	uv_timer_t lock_deadline; /* of taking the locks */
	uint64_t lock_token;      /* of the save that counts; an older one is passed over */

	struct spawn child;
	unsigned boot_checks;
	bool child_refused; /* in words of its own */
	bool admitted;      /* it may have become QEMU */
	int starter;        /* as in the plan, until it is told */
	bool settled;       /* in place: nothing of the user's is held any more */
	struct {
		struct spawn starter; /* who was started; QEMU (child) may be another */
		uv_poll_t word, death;
		uv_timer_t look; /* is there anybody left? */
		int fd;
		bool known; /* vm->child is the one that answers */
		bool watched, starter_gone;
	} daemon; /* daemon.c */
	struct {
		uv_poll_t poll;
		int listener;     /* -1: none (any more) */
		bool killed_qemu; /* for a call that it forbids */
		unsigned named;   /* calls that were told of */
	} sandbox;                /* sandbox_watch.c */
	uv_poll_t child_news, child_death, signals;
	int signal_fd;
	struct tracer tracer;   /* of a frozen QEMU */
	struct deadman deadman; /* of one that cannot be traced */
	struct deadman unborn;  /* of one whose guest has not run */
	bool untraced_told;
	uv_timer_t freeze_look; /* at one that is nobody's child of ours */
	int monitor_listen_fd;

	struct qmp_client *monitor; /* NULL: not connected */
	bool monitor_ready;
	bool shutdown_seen;
	bool awaits_machine;     /* --preconfig: not known to have been let go on (preconfig.h) */
	uv_timer_t machine_look; /* has somebody? */
	bool unchecked;          /* QEMU's block graph is to be compared when the locks are held */
	bool retry_release;      /* the locks stay for a job or an export, which may end */
	uv_timer_t patience;     /* a QEMU without a monitor is expected to die */
	uint64_t drain_token;    /* of the drain that counts */
	bool release_asked;      /* by a user: --release-after does not hold it back */
	bool stay;               /* the guest shall wait: -S, or a 'stop' before it ran */
	uv_timer_t release_timer;

	struct qmp_server *server;
	struct unix_socket_file qmp_file; /* where it listens */
	struct waiting *waiting;          /* clients that wait for a state (control_goal.c) */
	struct passed *passed;            /* commands of clients that QEMU has (control_pass.c) */
	bool settling, settle_again;
	struct event_log events;
	struct service service;

	struct error refusal; /* why the last acquire failed */
	int refusal_outcome;  /* LOCK_BUSY, LOCK_STALE or -errno; 0: none */
	bool force_stale;     /* for the acquire that is wanted now, and no other */
	bool forced_now;      /* it was, for the last one that has begun */
	bool undone;          /* what it has taken is given back, and no guest has used it */
	struct {
		int signal;        /* that asked for the end; 0: a 'quit' */
		bool seen_by_qemu; /* the terminal has sent it to QEMU too */
		bool killed;       /* carried out as SIGKILL: the status is 0 */
		bool by_policy;    /* --on-lock-failure=poweroff: the status is 76 */
	} end;
	struct error way_out; /* what to do about a refused start */
	int exit_status;      /* of a start that was refused; 0: QEMU's counts */
	uv_timer_t last_io_timer;
	uv_timer_t tidy_timer;
	uv_timer_t save_timer; /* state.json could not be written: another try */
};

/*
 * Run a VM from fork to end.
 *
 * @rundir	claimed
 *
 * Returns the exit status; or dies of the signal that QEMU died of.
 */
int vm_run(const struct vm_plan *plan, struct rundir *rundir);

/* Something has happened; the table decides. Safe from within an action. */
void vm_post(struct vm *vm, enum supervisor_event event);

/* Write state.json; a failure is logged, and tried again later. 0 or -errno. */
int vm_save_state(struct vm *vm);

/* Why the guest does not run; kept until it runs again. @detail may be NULL. */
void vm_set_cause(struct vm *vm, enum vm_cause cause, const char *detail);

/* Replace a string of the state. @text NULL: none. */
void vm_set_text(char **member, const char *text);

/* QEMU's RunState as it was last heard. */
void vm_set_run_state(struct vm *vm, const char *run_state);

/* The VM gives no locks back from now on, and this is why. */
void vm_pin(struct vm *vm, const char *why);

/* The same without a word; false: it was pinned for that already. */
bool vm_pin_quietly(struct vm *vm, const char *why);

/* Is there any lock to give back or take? (the nop driver has none) */
bool vm_has_locks(const struct vm *vm);
