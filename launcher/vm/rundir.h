/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"
#include "base/unix_socket.h"
#include "launcher/options.h"
#include "launcher/vm/state.h"

/*
 * The runtime directory: $VMLATCH_RUNTIME_DIR, $RUNTIME_DIRECTORY, /run/vmlatch
 * if we may, $XDG_RUNTIME_DIR/vmlatch, /tmp/vmlatch-UID; the first that works.
 * Below it a directory NAME (0700) for each VM:
 *
 *	lock		held (whole-file OFD write lock) by the VM's supervisor
 *	qmp.sock	our QMP server (0600)
 *	monitor.sock	QEMU's monitor, for us alone
 *	state.json
 *	log		what a supervisor that has no terminal says
 *
 * and NAME.last.json, the end record of the last VM of that name.
 */
#define RUNDIR_LAST     ".last.json"
#define RUNDIR_END      "end.json" /* on its way to NAME.last.json */
#define RUNDIR_LOG      "log"
#define RUNDIR_LAST_LOG ".last.log"
#define RUNDIR_LOCK     "lock"
#define RUNDIR_QMP      "qmp.sock"
#define RUNDIR_MONITOR  "monitor.sock"

struct rundir {
	char *root; /* the runtime directory */
	int root_fd;
	char *path; /* root/NAME; NULL before rundir_claim() */
	int fd;
	int lock_fd; /* close-on-exec: only the supervisor may hold it */
	char name[VM_NAME_SIZE];
};

/* Before anything else, so that rundir_finish() is safe. */
#define RUNDIR_INIT                                    \
	{                                              \
		.root_fd = -1, .fd = -1, .lock_fd = -1 \
	}

/*
 * Find the runtime directory (create: make it where it is missing). One that
 * $VMLATCH_RUNTIME_DIR names is used or refused; of the others the first that
 * is ours (or can be made) counts.
 *
 * Returns 0, -ENOENT (not there, and not to be created) or -errno with a sentence
 * (status 73).
 */
int rundir_open(struct rundir *rundir, bool create, struct error *err);
void rundir_finish(struct rundir *rundir); /* closes; removes nothing */

/*
 * Make NAME ours: directory, lock, leftovers of a dead VM removed (its end
 * record is written if the state file says that it ended without one).
 *
 * Returns 0; RUNDIR_IN_USE with a sentence that names the pid (its supervisor
 * lives, or its QEMU lives without one); or -errno with a sentence.
 */
enum { RUNDIR_IN_USE = 1 };
int rundir_claim(struct rundir *rundir, const char *name, struct error *err);

/* Write NAME.last.json of a VM that was claimed. 0 or -errno. */
int rundir_save_end(const struct rundir *rundir, const struct vm_state *state, struct error *err);

/* unix_socket_listen(), with the exit status of a failure. */
int rundir_listen(const char *path, struct unix_socket_file *made, struct error *err);

/*
 * The file for what a detached supervisor says: close-on-exec, or -errno. The end
 * keeps it beside the end record (NAME.last.log), if there is a word in it.
 */
int rundir_open_log(const struct rundir *rundir);
void rundir_save_log(const struct rundir *rundir);

/* Remove the VM's directory; the end record stays. */
void rundir_remove(struct rundir *rundir);

/* One VM as others see it. */
enum vm_presence {
	VM_SUPERVISED,
	VM_UNSUPERVISED, /* QEMU lives, its supervisor does not */
	VM_UNKNOWN,      /* no supervisor, and what it left cannot be read: QEMU may live */
	VM_GONE,         /* leftovers only */
};
struct vm_entry {
	char name[VM_NAME_SIZE];
	enum vm_presence presence;
	bool readable; /* @state is there */
	bool outdated; /* and was true once: its supervisor cannot write a newer one */
	struct vm_state state;
	char problem[512]; /* why @state is not there, or outdated */
};
void vm_entry_finish(struct vm_entry *entry);

/* A state file of this mode is out of date: to say so needs no room. */
#define RUNDIR_STATE_OUTDATED 0400

/*
 * The VM of that name; of one that left only its end record this is @state.
 * Claims nothing and disturbs no claim. 0, or -ENOENT or -ENOMEM.
 */
int rundir_look(const struct rundir *rundir, const char *name, struct vm_entry *ret);

/*
 * All VMs that have a directory, by name.
 *
 * @ret	array of @n; the caller's: vm_entry_finish() each, then free()
 */
int rundir_list(const struct rundir *rundir, struct vm_entry **ret, size_t *n, struct error *err);

/*
 * Of these the ones that may use a disk, by the text of their state files; most
 * of the others' are not parsed. As above; 0 or -errno without a sentence.
 */
int rundir_list_users(const struct rundir *rundir, const struct resource_identity *id,
	struct vm_entry **ret, size_t *n);
