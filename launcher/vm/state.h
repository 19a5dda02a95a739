/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/error.h"
#include "base/process.h"
#include "base/str.h"
#include "launcher/options.h"
#include "locking/resource.h"

/*
 * state.json: what a VM's supervisor knows, written before it takes effect.
 * 'list', 'status' and 'who' read it, also when the supervisor is dead; so it
 * is parsed as hostile input.
 */

#define STATE_VERSION 1
#define STATE_FILE    "state.json"
#define STATE_MAX     (4 * 1024 * 1024)

enum vm_lock_state {
	VM_LOCK_REGISTERED,
	VM_LOCK_HELD,
	VM_LOCK_RELEASING,
	VM_LOCK_RELEASED,
	VM_LOCK_ACQUIRING,
	VM_LOCK_LOST,
	VM_LOCK_NONE, /* nop driver */
};
const char *vm_lock_state_name(enum vm_lock_state state);
int vm_lock_state_from_name(const char *name); /* or -1 */

/* Why the guest does not run. */
enum vm_cause {
	CAUSE_NONE,
	CAUSE_STARTING,
	CAUSE_USER,
	CAUSE_WATCHDOG,
	CAUSE_IO_ERROR,
	CAUSE_LOCK_LOST,
	CAUSE_LOCK_BUSY,
	CAUSE_STALE,
	CAUSE_MIGRATION,
	CAUSE_GUEST_PANIC,
	CAUSE_SHUTDOWN,
	CAUSE_UNKNOWN,
};
const char *vm_cause_name(enum vm_cause cause); /* "none", "user", "watchdog", "io-error", ... */
int vm_cause_from_name(const char *name);       /* or -1 */

struct vm_process {
	pid_t pid; /* 0: none */
	uint64_t start_time;
};

struct vm_state {
	char name[VM_NAME_SIZE];
	char instance[UUID_SIZE];
	char boot_id[BOOT_ID_SIZE];
	struct vm_process supervisor;
	struct vm_process qemu;
	char *binary;    /* QEMU as it was called */
	char *driver;    /* lock driver */
	char *run_state; /* QEMU's RunState name; "starting" before the first answer, "gone" at the
			    end */
	enum vm_lock_state lock_state;
	enum vm_cause cause;
	int64_t cause_since; /* seconds since the epoch; 0: none */
	char *cause_detail;  /* for people: "ide0-hd1: No space left on device"; NULL: none */
	char *remedy;        /* what would bring the VM back; NULL: nothing to do */
	char *held_because;  /* paused, but the locks stay: why; NULL: they do not stay */
	bool deactivating;   /* written before QEMU is told to deactivate */
	bool deactivated;
	bool frozen;        /* by us, from outside (freeze.h) */
	struct strv pinned; /* why the VM never releases; empty: it may */
	struct resource_set resources;
	char *lock_text;        /* the driver's state, saved at the last release; NULL: none */
	uint64_t plant_counter; /* vmlatch-lock-COUNTER names used so far */
	uint64_t event_seq;
	char *qmp_path;  /* our own QMP socket */
	int64_t started; /* seconds since the epoch */

	/* the end record (NAME.last.json) has these too */
	bool ended;
	int end_status;     /* exit status, or -SIGNAL */
	bool end_from_qemu; /* the number came from QEMU's own wait status */
	int64_t end_time;
};

void vm_state_finish(struct vm_state *state);

/* Does the very QEMU that it names live? (pid, start time and boot id) */
bool vm_state_is_alive(const struct vm_state *state);

/*
 * A pidfd of one of the state's processes, if it is still that very process.
 * The descriptor, or -ESRCH (it is gone, or was never there) or -errno.
 */
int vm_state_open_process(const struct vm_state *state, const struct vm_process *process);

/*
 * As an object: what state.json has, vmlatch-status answers and 'status --json'
 * prints. Bytes that are no UTF-8 (a path may have them) go into KEY-hex, and
 * KEY is for people then. The caller's; NULL: no memory.
 */
json_t *vm_state_to_json(const struct vm_state *state);

/* As JSON text, one line. The caller's; NULL: no memory. */
char *vm_state_to_text(const struct vm_state *state);

/*
 * Returns 0 or -EINVAL with a sentence (not JSON, another version, a member of a
 * wrong type or out of bounds). Unknown members are passed over.
 */
int vm_state_from_json(const json_t *root, struct vm_state *ret, struct error *err);
int vm_state_from_text(const char *text, size_t len, struct vm_state *ret, struct error *err);

/* Write STATE_FILE (or @name) into a VM's directory, in one step. 0 or -errno. */
int vm_state_save(int dir_fd, const char *name, const struct vm_state *state, struct error *err);
int vm_state_load(int dir_fd, const char *name, struct vm_state *ret, struct error *err);

/*
 * May the file name this disk? A search through its text, which is a fraction of
 * what vm_state_load() costs: false is certain.
 */
bool vm_state_may_name(int dir_fd, const char *name, const struct resource_identity *id);

/* "DEV:INO": device and inode numbers have 64 bits, jansson's numbers 63. */
#define STATE_ID_SIZE 42
const char *vm_state_id_text(const struct resource_identity *id, char text[static STATE_ID_SIZE]);
