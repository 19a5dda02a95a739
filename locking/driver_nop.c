/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "locking/drivers.h"
#include "locking/saved_state.h"

/*
 * The driver of those who want no locks: keeps the books like the others (what
 * belongs to the VM, what counts as held), and protects nothing.
 */
struct nop_locks {
	struct lock base;
	struct resource_set resources;
	bool held;
};

static struct nop_locks *nop_locks_of(struct lock *lock)
{
	return (struct nop_locks *)lock;
}

static int nop_create(const struct lock_params *params, struct lock **ret, struct error *err)
{
	struct nop_locks *locks = calloc(1, sizeof(*locks));

	(void)params;
	if (!locks)
		return error_set(err, -ENOMEM, "no memory for locks");
	locks->base.driver = &lock_driver_nop;
	*ret = &locks->base;
	return 0;
}

static void nop_destroy(struct lock *lock)
{
	if (!lock)
		return;
	resource_set_finish(&nop_locks_of(lock)->resources);
	free(lock);
}

static void nop_set_owner_pid(struct lock *lock, pid_t pid, uint64_t start_time)
{
	(void)lock, (void)pid, (void)start_time;
}

static int nop_add_resource(struct lock *lock, const struct resource *resource, struct error *err)
{
	if (resource_set_add(&nop_locks_of(lock)->resources, resource, NULL) < 0)
		return error_set(err, -ENOMEM, "no memory for %s", resource->path);
	return 0;
}

static int nop_acquire(
	struct lock *lock, unsigned flags, struct lock_conflict *conflict, struct error *err)
{
	(void)conflict, (void)err;
	if (!(flags & LOCK_REGISTER_ONLY))
		nop_locks_of(lock)->held = true;
	return 0;
}

static int nop_verify(struct lock *lock, const char *saved, struct error *err)
{
	_cleanup_(saved_state_finish) struct saved_state state = { 0 };

	return saved ? saved_state_from_text(saved, lock->driver->name, &state, err) : 0;
}

static int nop_arm(struct lock *lock, struct error *err)
{
	(void)lock, (void)err;
	return 0;
}

static int nop_release(struct lock *lock, const struct resource *only, struct error *err)
{
	struct nop_locks *locks = nop_locks_of(lock);
	struct resource *member = only ? resource_set_find(&locks->resources, only) : NULL;

	(void)err;
	if (member)
		resource_set_remove(&locks->resources, member);
	if (!only)
		locks->held = false;
	return 0;
}

static int nop_inquire(struct lock *lock, char **ret, struct error *err)
{
	const struct nop_locks *locks = nop_locks_of(lock);
	_cleanup_(str_finish) struct str out = { 0 };
	char *text;
	size_t i;

	saved_state_begin(&out, lock->driver->name);
	for (i = 0; i < locks->resources.n; i++) {
		struct saved_entry entry = {
			.resource = locks->resources.items[i],
			.hold = locks->held ? SAVED_SKIPPED : SAVED_FREE,
		};

		saved_state_append(&out, &entry);
	}
	text = str_take(&out);
	if (!text)
		return error_set(err, -ENOMEM, "no memory for the lock state");
	*ret = text;
	return 0;
}

static int nop_descriptors(
	struct lock *lock, struct lock_descriptor **ret, size_t *n, struct error *err)
{
	struct lock_descriptor *none = calloc(1, sizeof(*none));

	(void)lock;
	if (!none)
		return error_set(err, -ENOMEM, "no memory for lock descriptors");
	*ret = none;
	*n = 0;
	return 0;
}

static int nop_adopt(
	struct lock *lock, const int *fds, size_t n, const char *state, struct error *err)
{
	_cleanup_(saved_state_finish) struct saved_state saved = { 0 };
	size_t i;
	int ret = saved_state_from_text(state, lock->driver->name, &saved, err);

	(void)fds;
	if (ret == 0 && n)
		ret = error_set(err, -EINVAL, "%zu descriptors do not fit the lock state", n);
	if (ret < 0)
		return ret;
	for (i = 0; i < saved.n; i++)
		nop_locks_of(lock)->held |= saved.entries[i].hold != SAVED_FREE;
	return 0;
}

static int nop_lost_fd(struct lock *lock)
{
	(void)lock;
	return -1;
}

static size_t nop_resource_fds(
	struct lock *lock, const struct resource *resource, int fds[static LOCK_FDS_MAX])
{
	(void)lock, (void)resource, (void)fds;
	return 0;
}

static int nop_status(struct lock *lock, const struct resource *resource, struct lock_status *ret)
{
	const struct nop_locks *locks = nop_locks_of(lock);
	const struct resource *member = resource_set_find(&locks->resources, resource);

	if (!member)
		return -ENOENT;
	*ret = (struct lock_status){
		.id = member->id,
		.mode = member->mode,
		.held = locks->held,
		.skipped = locks->held,
	};
	return 0;
}

static int nop_look(const struct lock_look *look, struct lock_view *ret, struct error *err)
{
	const char *path = look->resource->path;
	struct stat info;

	*ret = (struct lock_view){ 0 };
	if (look->resource->kind == RESOURCE_LEASE)
		return 0;
	if ((look->fd < 0 ? stat(path, &info) : fstat(look->fd, &info)) < 0)
		return error_status(
			err, error_set(err, -errno, "%s: %s", path, strerror(errno)), 66);
	ret->id = resource_identity_of(&info);
	return 0;
}

const struct lock_driver lock_driver_nop = {
	.abi = LOCK_DRIVER_ABI,
	.name = "nop",
	.create = nop_create,
	.destroy = nop_destroy,
	.set_owner_pid = nop_set_owner_pid,
	.add_resource = nop_add_resource,
	.acquire = nop_acquire,
	.verify = nop_verify,
	.arm = nop_arm,
	.release = nop_release,
	.inquire = nop_inquire,
	.descriptors = nop_descriptors,
	.adopt = nop_adopt,
	.lost_fd = nop_lost_fd,
	.resource_fds = nop_resource_fds,
	.status = nop_status,
	.look = nop_look,
};
