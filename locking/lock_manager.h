/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/lock_driver.h"

/*
 * The front door to the drivers: find one by name, then one line per call.
 * Each function does what the driver's slot of that name says (lock_driver.h).
 */

/* The built-in driver of this name, or NULL. */
const struct lock_driver *lock_manager_find(const char *name);

/*
 * The built-in driver of this name, else the one that is loaded (lock_module.h):
 * before the fork and before there is a thread.
 *
 * Returns 0, or -errno with a sentence and status 69; -ENOENT: there is none, and
 * the sentence says which there are.
 */
int lock_manager_load(const char *name, const struct lock_driver **ret, struct error *err);

int lock_manager_new(const struct lock_driver *driver, const struct lock_params *params,
	struct lock **ret, struct error *err);
void lock_manager_free(struct lock *lock);
void lock_manager_freep(struct lock **lock);

void lock_manager_set_owner_pid(struct lock *lock, pid_t pid, uint64_t start_time);
int lock_manager_add_resource(
	struct lock *lock, const struct resource *resource, struct error *err);
int lock_manager_acquire(
	struct lock *lock, unsigned flags, struct lock_conflict *conflict, struct error *err);
int lock_manager_verify(struct lock *lock, const char *saved, struct error *err);
int lock_manager_arm(struct lock *lock, struct error *err);
int lock_manager_release(struct lock *lock, const struct resource *only, struct error *err);
int lock_manager_inquire(struct lock *lock, char **ret, struct error *err);
int lock_manager_descriptors(
	struct lock *lock, struct lock_descriptor **ret, size_t *n, struct error *err);
int lock_manager_adopt(
	struct lock *lock, const int *fds, size_t n, const char *state, struct error *err);
int lock_manager_lost_fd(struct lock *lock);
size_t lock_manager_resource_fds(
	struct lock *lock, const struct resource *resource, int fds[static LOCK_FDS_MAX]);
int lock_manager_status(
	struct lock *lock, const struct resource *resource, struct lock_status *ret);
int lock_manager_look(const struct lock_driver *driver, const char *path, struct lock_view *ret,
	struct error *err);

/* The same of a file that is open for reading already; @path is for the sentence. */
/* The same of any resource: as the slot. */
int lock_manager_look_at(const struct lock_driver *driver, const struct lock_look *look,
	struct lock_view *ret, struct error *err);
