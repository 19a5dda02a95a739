/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/credentials.h"
#include "base/error.h"
#include "launcher/vm/privileges.h"
#include "launcher/vm/qemu_arguments.h"
#include "launcher/vm/sandbox_stage.h"
#include "launcher/vm/stage.h"
#include "locking/domain_lock.h"

/*
 * The fork. One of the two takes every lock, reports, waits for the supervisor's
 * "I have them", and becomes QEMU. It must be called before any thread exists.
 *
 *	becomes QEMU		supervisor
 *	LOCKED, descriptors  ->	adopts them
 *	  (or REFUSED)
 *			     <-	admit (or dismiss, with an exit status)
 *	  (SANDBOXED, a descriptor ->)
 *	execs QEMU	     ->	end of file (or REFUSED with a stage)
 *	  (else)	     <-	dismiss
 *
 * Two shapes, and only this file knows which is which. As a parent: the child
 * becomes QEMU, and the started process stays as its supervisor. In place: the
 * started process becomes QEMU, and the supervisor is a detached child (detach.h).
 */

struct spawn_plan {
	bool in_place;
	const char *binary; /* a path */
	struct qemu_arguments arguments;
	bool keep_environment; /* also what is a service's or vmlatch's in it */
	int monitor_fd;        /* listening; becomes QEMU's monitor "vmlatch" */
	const struct credentials *credentials;
	const struct privileges *privileges;
	const struct sandbox_plan *sandbox;
	bool die_with_supervisor;
	struct domain_lock *domain; /* both sides have it; the child's copy does the locking */
	bool register_only;
	int64_t wait_ms;
	sigset_t signals;      /* the mask that QEMU starts with */
	bool ignores_children; /* SIGCHLD was ignored when we started: so QEMU ignores it */
};

struct spawn {
	pid_t pid;
	uint64_t start_time;
	int pidfd;
	int socket;
};

/*
 * @ret	the descriptors are the caller's
 *
 * Returns 0 in the supervisor, which is another process than before if it is in
 * place; or -errno with a sentence. Never returns in what becomes QEMU.
 */
int spawn_start(const struct spawn_plan *plan, struct spawn *ret, struct error *err);

enum spawn_news {
	SPAWN_LOCKED,    /* descriptors and state have come */
	SPAWN_REFUSED,   /* nothing is held, the child has gone or will; see outcome */
	SPAWN_SANDBOXED, /* the filter is loaded; its listener has come */
	SPAWN_EXECUTED,  /* the socket's end: QEMU runs, or the child died */
};

struct spawn_report {
	enum spawn_news news;
	enum stage stage;
	int outcome; /* REFUSED: LOCK_BUSY or -errno */
	struct error error;
	struct lock_conflict conflict; /* LOCK_BUSY */
	int *fds;                      /* LOCKED: n_fds of them */
	size_t n_fds;
	char *state;  /* LOCKED */
	int listener; /* SANDBOXED; the receiver's to close */
};
void spawn_report_finish(struct spawn_report *report); /* closes @fds that are still there */

/* The next piece of news; blocks only if none has come. 0 or -errno with a sentence. */
int spawn_receive(int socket, struct spawn_report *ret, struct error *err);

/* "I have them": let the child exec. 0 or -errno. */
int spawn_admit(int socket);

/* There will be no QEMU; all has been said. Let the child exit with @status. */
void spawn_dismiss(int socket, int status);
