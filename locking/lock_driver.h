/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/credentials.h"
#include "base/error.h"
#include "base/process.h"
#include "locking/resource.h"

/*
 * What a lock driver is.
 *
 * A lock object stands for one VM. It is made, and its resources are added,
 * before the fork; so the child (which becomes QEMU) and the supervisor have a
 * copy each. The child acquires, arms and restricts, gives its descriptors and
 * its state to the supervisor, which adopts them, and execs QEMU. From then on
 * only the supervisor calls. Every call may block (network file systems,
 * daemons): the supervisor makes them on a thread of their own, one at a time.
 * A driver keeps no global state, starts no thread and touches no signal. In the
 * supervisor it may make the system calls of sandbox/supervisor.list, no others: it
 * executes nothing, and its sockets are local (AF_UNIX) or the kernel's (netlink).
 *
 * Acquire, verify and arm are three steps. Acquire takes the locks. Verify
 * compares with the state that was saved when they were given back. Arm says
 * "from here on the guest may write", and raises the generation. What was
 * acquired and never armed has used nothing.
 *
 * Model: libvirt's src/locking/lock_driver.h (virLockManager*); the words mean
 * the same here.
 *
 * Drivers that are loaded: NAME.so in the directory of lock drivers (pkg-config
 * --variable=lockdriverdir vmlatch) is what --lock NAME means, if no driver that
 * is built in has that name. It defines
 *
 *	_public_ const struct lock_driver vmlatch_lock_driver = {
 *		.abi = LOCK_DRIVER_ABI,
 *		.name = "NAME",
 *		...every slot
 *	};
 *
 * and is loaded once, before the fork and before any thread, and never unloaded.
 * It is trusted as the program itself is. Of the program it may call what is
 * marked _public_ in this header, in those that it includes, and in
 * locking/saved_state.h and locking/stamp.h; nothing else is to be seen. All of
 * them, and all structures in them, are what the ABI number stands for: a driver
 * of another number is not loaded, there is no other check.
 * contrib/lock-driver-example/ is a whole one.
 *
 * What the program relies upon, beyond what the slots say:
 *
 * - inquire() writes the text of saved_state.h, under the driver's own name, with
 *   an entry for each resource.
 * - Images are opened with the rights of lock_params.credentials: a guest can name
 *   any file in its own image's header.
 * - The first of a disk's resource_fds() is an open description of the image
 *   itself: by it the program sees whether QEMU's last write is done.
 * - Every descriptor is close-on-exec.
 */

/* Raised whenever anything changes that a driver was built with. */
#define LOCK_DRIVER_ABI 3

#define LOCK_DRIVER_NAME_SIZE 32
#define LOCK_DRIVER_LETTERS   "abcdefghijklmnopqrstuvwxyz0123456789_-"

/* Outcomes (> 0) of a driver's calls. */
enum lock_outcome {
	LOCK_BUSY = 1,    /* somebody else holds it; the conflict tells who */
	LOCK_STALE = 2,   /* somebody else has used it since the state was saved */
	LOCK_LOST = 3,    /* what we held is not ours any more */
	LOCK_CHANGED = 4, /* domain_lock: what is held is not what was saved */
};

enum lock_flags {
	/* make the VM known, and fix whose life the locks hang on; take nothing */
	LOCK_REGISTER_ONLY = 1 << 0,
	/* end the registered process's own power over its locks */
	LOCK_RESTRICT = 1 << 1,
};

#define LOCK_NAME_SIZE    256
#define LOCK_PROCESS_SIZE 64

/* Who we are: what records say of us. */
struct lock_owner {
	char vm[LOCK_NAME_SIZE];
	char host[LOCK_NAME_SIZE];
	char instance[UUID_SIZE]; /* of this run of the VM */
	char boot_id[BOOT_ID_SIZE];
	pid_t pid; /* QEMU's; 0 until the fork */
	uint64_t start_time;
};

struct lock_params {
	struct lock_owner owner;
	const struct credentials *credentials; /* QEMU's; borrowed, must outlive the lock object */
	/* of the file driver: file_spaces.h. NULL: none, and the usual place */
	const char *lockspace;
	bool lockspace_by_identity;
	const char *device_locks;
};

/*
 * Where the name of a holder comes from. Drivers know RECORD and KERNEL; the
 * launcher puts what a state file says in the place of anything but a RECORD.
 */
enum lock_holder_source {
	LOCK_HOLDER_UNKNOWN, /* "a process of another host or user" */
	LOCK_HOLDER_RECORD,  /* the record beside the lock */
	LOCK_HOLDER_STATE,   /* the state file of a VM of this host */
	LOCK_HOLDER_KERNEL,  /* F_OFD_GETLK's pid, or a scan of /proc */
};

/* Names are fit to be shown: valid UTF-8 without control characters. */
struct lock_holder {
	enum lock_holder_source source;
	char vm[LOCK_NAME_SIZE];         /* "" where it is not known */
	char host[LOCK_NAME_SIZE];       /* likewise */
	char process[LOCK_PROCESS_SIZE]; /* the program's name (KERNEL), likewise */
	pid_t pid;                       /* 0 likewise */
	int64_t since;                   /* seconds since the epoch, 0 likewise */
};

/* What stood in the way of the last acquire. */
struct lock_conflict {
	char path[4096];
	struct resource_identity id;
	struct lock_holder holder;
};

#define LOCK_FDS_MAX 8 /* descriptors of one resource that QEMU inherits */

/* A descriptor on which a lock's life hangs. */
struct lock_descriptor {
	int fd;       /* the lock object's */
	bool inherit; /* QEMU must have it (this very description) for as long as it lives */
};

/* What is looked at, without taking a lock. */
struct lock_look {
	const struct lock_params *params; /* as for create; NULL: none are known */
	const struct resource *resource;
	int fd; /* its file, if the caller has it open for reading, and it is an image; else -1 */
	bool to_lock; /* what would hinder a lock, though nobody has it, is a failure too */
};
struct lock_view {
	struct resource_identity id;
	bool busy; /* a lock in the resource's mode would be refused */
	bool held;
	enum resource_mode mode;   /* if held */
	struct lock_holder holder; /* without a scan of /proc: holder_process.h */
	uint64_t generation;       /* 0: no record */
	bool lockable;             /* false: the file system has no locks */
	bool recordable;           /* false: it keeps no record, only the stamp protects */
};

/* What we have of one of our own resources. */
struct lock_status {
	struct resource_identity id; /* of what is open; else as it was added */
	enum resource_mode mode;
	bool held;
	bool skipped;  /* held in name only: a reader where no lock is possible */
	bool recorded; /* armed with a record; else only the stamp protects */
	bool moved;    /* the path names another file now, or none: a warning, no loss */
	bool reopened; /* it has descriptors that resource_fds() has not handed out yet */
};

struct lock_driver;

/* A driver's object begins with this. */
struct lock {
	const struct lock_driver *driver;
};

/*
 * All return 0, a lock_outcome where one is named, or -errno with a sentence.
 * No slot is NULL. On failure return parameters are untouched.
 */
struct lock_driver {
	uint32_t abi; /* LOCK_DRIVER_ABI */
	const char *name;

	int (*create)(const struct lock_params *params, struct lock **ret, struct error *err);

	/* Close everything; locks that live on in QEMU's descriptors stay. NULL is fine. */
	void (*destroy)(struct lock *lock);

	/*
	 * The pid of the process that becomes QEMU, once it is known; records carry
	 * it. Of a QEMU that has daemonized it comes a second time, while all is held:
	 * records that cannot be rewritten keep the old one.
	 */
	void (*set_owner_pid)(struct lock *lock, pid_t pid, uint64_t start_time);

	/*
	 * Make one more resource part of the VM. Takes nothing. One that is
	 * there already with the same or a stronger mode: 0, nothing changes. A
	 * stronger mode than one that is open (held or released): -EBUSY.
	 */
	int (*add_resource)(struct lock *lock, const struct resource *resource, struct error *err);

	/*
	 * Take everything that is not held yet, in canonical order: all or
	 * nothing (what this call took is given back on failure, what was held
	 * before stays). With LOCK_REGISTER_ONLY nothing is taken. Afterwards
	 * status() knows the true identities; names of one file have become one.
	 *
	 * @conflict	NULL: one try, and the holder is not looked for (who waits
	 *		asks often). Else up to 2 s pass until a lock that is just
	 *		being taken, or that a dead process leaves, has a name.
	 *
	 * Returns 0 | LOCK_BUSY (with @conflict) | -errno.
	 */
	int (*acquire)(struct lock *lock, unsigned flags, struct lock_conflict *conflict,
		struct error *err);

	/*
	 * Compare what is held now with @saved (an inquire's text; what it does
	 * not mention is not compared). NULL: check only that what we hold is
	 * still held.
	 *
	 * Returns 0 | LOCK_STALE | LOCK_LOST | -errno.
	 */
	int (*verify)(struct lock *lock, const char *saved, struct error *err);

	/*
	 * Raise the generation of everything held that is not armed yet. After
	 * -errno some may be raised: that can only make others too careful.
	 */
	int (*arm)(struct lock *lock, struct error *err);

	/*
	 * Give back one resource and forget it (@only, held or not), or
	 * everything (NULL: the resources stay part of the VM, and the next
	 * acquire locks the same descriptions again). What is not there: 0.
	 *
	 * Returns 0 or -errno, and then all is still held (or verify says LOST).
	 */
	int (*release)(struct lock *lock, const struct resource *only, struct error *err);

	/*
	 * The state as text, to be saved before a release or sent to a migration's
	 * target: per resource identity, generation and stamp, taken now.
	 *
	 * @ret	the caller's
	 */
	int (*inquire)(struct lock *lock, char **ret, struct error *err);

	/*
	 * The descriptors in an order that both copies of the object agree upon.
	 *
	 * @ret	array of @n, the caller's to free; the descriptors stay ours
	 */
	int (*descriptors)(
		struct lock *lock, struct lock_descriptor **ret, size_t *n, struct error *err);

	/*
	 * The supervisor's copy takes over what the child's has got.
	 *
	 * @fds		copies of descriptors(), same order; become ours on success
	 * @state	the child's inquire after arm
	 */
	int (*adopt)(
		struct lock *lock, const int *fds, size_t n, const char *state, struct error *err);

	/*
	 * Becomes readable when a lock may be lost: then verify, which makes it
	 * quiet again. Stays ours; -1: never. It can come with a resource.
	 */
	int (*lost_fd)(struct lock *lock);

	/*
	 * The inherited descriptors of one resource that is held, to be planted in
	 * QEMU; ours. Of a disk its image's comes first. From now on it is not
	 * "reopened" any more (status).
	 *
	 * @fds	room for LOCK_FDS_MAX
	 *
	 * Returns how many there are.
	 */
	size_t (*resource_fds)(
		struct lock *lock, const struct resource *resource, int fds[static LOCK_FDS_MAX]);

	/* Of one of our resources, found by path or identity. 0 or -ENOENT. */
	int (*status)(struct lock *lock, const struct resource *resource, struct lock_status *ret);

	/* What can be seen of a resource without taking a lock. 0 or -errno. */
	int (*look)(const struct lock_look *look, struct lock_view *ret, struct error *err);
};
