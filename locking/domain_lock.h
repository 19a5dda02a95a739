/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/lock_driver.h"

/*
 * A VM's locks, as the VM's life sees them: process start, pause and resume,
 * and what is attached and detached on the way. Model: libvirt's
 * src/locking/domain_lock.h, without its holes: every call is idempotent, and
 * all or nothing.
 *
 *	REGISTERED --start/resume--> HELD --pause--> RELEASED --resume--> HELD
 *
 * The caller makes one call at a time (the supervisor: on its lock thread).
 */

enum domain_lock_state {
	DOMAIN_LOCK_REGISTERED, /* known, nothing held; the guest may not run */
	DOMAIN_LOCK_HELD,
	DOMAIN_LOCK_RELEASED, /* nothing held, a saved state kept; the guest may not run */
};

struct domain_lock;

/*
 * @driver	as for lock_manager_load()
 * @resources	the VM's, copied; NULL: none yet
 */
int domain_lock_new(const char *driver, const struct lock_params *params,
	const struct resource_set *resources, struct domain_lock **ret, struct error *err);
void domain_lock_free(struct domain_lock *domain);
void domain_lock_freep(struct domain_lock **domain);

enum domain_lock_state domain_lock_state(const struct domain_lock *domain);
/* With their true identities once they are held; names of one file have become one then. */
const struct resource_set *domain_lock_resources(const struct domain_lock *domain);
const struct lock_driver *domain_lock_driver(const struct domain_lock *domain);
const char *domain_lock_driver_name(const struct domain_lock *domain);

/*
 * In the process that becomes QEMU, before exec: register, acquire all, arm,
 * restrict.
 *
 * @register_only	take nothing (a migration's target)
 * @wait_ms		how long a busy lock is waited for; nothing is held meanwhile
 * @pid, @start_time	this process
 *
 * Returns 0 | LOCK_BUSY with @conflict | -errno.
 */
struct domain_lock_start {
	bool register_only;
	int64_t wait_ms;
	pid_t pid;
	uint64_t start_time;
};
int domain_lock_process_start(struct domain_lock *domain, const struct domain_lock_start *start,
	struct lock_conflict *conflict, struct error *err);

/* What start made, for the supervisor's copy: see descriptors and inquire in lock_driver.h. */
int domain_lock_descriptors(
	struct domain_lock *domain, struct lock_descriptor **ret, size_t *n, struct error *err);

/*
 * The supervisor's copy takes over. @state: the child's domain_lock_process_inquire();
 * a REGISTERED child gives no descriptors.
 */
int domain_lock_adopt(struct domain_lock *domain, const struct domain_lock_start *start,
	const int *fds, size_t n, const char *state, struct error *err);

/*
 * The lock state as one string: of a held VM with stamps taken now, of a
 * released one what was saved.
 */
int domain_lock_process_inquire(struct domain_lock *domain, char **ret, struct error *err);

/*
 * The same of a held VM whose guest has not run since it was resumed: what was stale then,
 * and was passed over by force, is stale for the next resume, too.
 */
int domain_lock_process_inquire_unused(struct domain_lock *domain, char **ret, struct error *err);

/*
 * Give everything back. The guest has stopped and its last write is done.
 *
 * @saved	what domain_lock_process_inquire() gave just now, and the caller
 *		has put where it outlives us; resume will compare with it
 *
 * Returns 0 (also if nothing was held), LOCK_CHANGED (something was attached or
 * detached since @saved was taken: inquire again) or -errno; but for 0 all is
 * still held.
 */
int domain_lock_process_pause(struct domain_lock *domain, const char *saved, struct error *err);

/*
 * Take everything again, verify, arm. Nothing is held after a failure that
 * was not held before.
 *
 * @force_stale	the user insists: skip the comparison with the saved state
 *
 * Returns 0 (also if all was held) | LOCK_BUSY with @conflict | LOCK_STALE | -errno.
 */
int domain_lock_process_resume(struct domain_lock *domain, bool force_stale,
	struct lock_conflict *conflict, struct error *err);

/* Is what we hold still ours? 0 | LOCK_LOST | -errno. */
int domain_lock_verify(struct domain_lock *domain, struct error *err);

/*
 * A disk (its images), one image (an element of a backing chain) or a lease
 * more. Held VM: acquired and armed; else only added: the saved state has
 * nothing to compare it with. What is attached already: 0, in a weaker mode than
 * is asked for now: -EBUSY.
 *
 * Returns 0 | LOCK_BUSY with @conflict | -errno, and then nothing has changed.
 */
int domain_lock_disk_attach(struct domain_lock *domain, const struct resource_set *images,
	struct lock_conflict *conflict, struct error *err);
int domain_lock_image_attach(struct domain_lock *domain, const struct resource *image,
	struct lock_conflict *conflict, struct error *err);
int domain_lock_lease_attach(struct domain_lock *domain, const struct resource *lease,
	struct lock_conflict *conflict, struct error *err);

/* Let go of it and forget it, in the saved state too. What is not attached: 0. */
int domain_lock_disk_detach(
	struct domain_lock *domain, const struct resource_set *images, struct error *err);
int domain_lock_image_detach(
	struct domain_lock *domain, const struct resource *image, struct error *err);
int domain_lock_lease_detach(
	struct domain_lock *domain, const struct resource *lease, struct error *err);

/* QEMU has daemonized: it is this process from now on. */
void domain_lock_set_process(struct domain_lock *domain, pid_t pid, uint64_t start_time);

/* See status, lost_fd and resource_fds in lock_driver.h. */
int domain_lock_resource_status(
	struct domain_lock *domain, const struct resource *resource, struct lock_status *ret);
int domain_lock_lost_fd(struct domain_lock *domain);
size_t domain_lock_resource_fds(
	struct domain_lock *domain, const struct resource *resource, int fds[static LOCK_FDS_MAX]);
