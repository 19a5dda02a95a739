/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/lock_manager.h"

#include <errno.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "locking/drivers.h"
#include "locking/lock_module.h"

static const struct lock_driver *const drivers[] = { &lock_driver_file, &lock_driver_nop };

#define N_DRIVERS (sizeof(drivers) / sizeof(drivers[0]))

const struct lock_driver *lock_manager_find(const char *name)
{
	size_t i;

	for (i = 0; i < N_DRIVERS; i++) {
		if (str_equal(drivers[i]->name, name))
			return drivers[i];
	}
	return NULL;
}

/* "there is no lock driver 'x' (file, nop; in DIR: flock)" */
static int no_such_driver(const char *name, struct error *err)
{
	_cleanup_(str_finish) struct str all = { 0 };
	size_t i;

	for (i = 0; i < N_DRIVERS; i++)
		str_printf(&all, "%s%s", i ? ", " : "", drivers[i]->name);
	str_append(&all, "; ");
	lock_module_list(&all);
	error_set(err, -ENOENT, "there is no lock driver '%s' (%s)", name,
		all.failed ? "out of memory" : all.text);
	return error_status(err, -ENOENT, EX_UNAVAILABLE);
}

int lock_manager_load(const char *name, const struct lock_driver **ret, struct error *err)
{
	const struct lock_driver *driver = lock_manager_find(name);
	int code = driver ? 0 : lock_module_load(name, &driver, err);

	if (code == -ENOENT)
		return no_such_driver(name, err);
	if (code == 0)
		*ret = driver;
	return code;
}

int lock_manager_new(const struct lock_driver *driver, const struct lock_params *params,
	struct lock **ret, struct error *err)
{
	return driver->create(params, ret, err);
}

void lock_manager_free(struct lock *lock)
{
	if (lock)
		lock->driver->destroy(lock);
}

void lock_manager_freep(struct lock **lock)
{
	lock_manager_free(*lock);
}

void lock_manager_set_owner_pid(struct lock *lock, pid_t pid, uint64_t start_time)
{
	lock->driver->set_owner_pid(lock, pid, start_time);
}

int lock_manager_add_resource(struct lock *lock, const struct resource *resource, struct error *err)
{
	return lock->driver->add_resource(lock, resource, err);
}

int lock_manager_acquire(
	struct lock *lock, unsigned flags, struct lock_conflict *conflict, struct error *err)
{
	return lock->driver->acquire(lock, flags, conflict, err);
}

int lock_manager_verify(struct lock *lock, const char *saved, struct error *err)
{
	return lock->driver->verify(lock, saved, err);
}

int lock_manager_arm(struct lock *lock, struct error *err)
{
	return lock->driver->arm(lock, err);
}

int lock_manager_release(struct lock *lock, const struct resource *only, struct error *err)
{
	return lock->driver->release(lock, only, err);
}

int lock_manager_inquire(struct lock *lock, char **ret, struct error *err)
{
	return lock->driver->inquire(lock, ret, err);
}

int lock_manager_descriptors(
	struct lock *lock, struct lock_descriptor **ret, size_t *n, struct error *err)
{
	return lock->driver->descriptors(lock, ret, n, err);
}

int lock_manager_adopt(
	struct lock *lock, const int *fds, size_t n, const char *state, struct error *err)
{
	return lock->driver->adopt(lock, fds, n, state, err);
}

int lock_manager_lost_fd(struct lock *lock)
{
	return lock->driver->lost_fd(lock);
}

size_t lock_manager_resource_fds(
	struct lock *lock, const struct resource *resource, int fds[static LOCK_FDS_MAX])
{
	return lock->driver->resource_fds(lock, resource, fds);
}

int lock_manager_status(struct lock *lock, const struct resource *resource, struct lock_status *ret)
{
	return lock->driver->status(lock, resource, ret);
}

int lock_manager_look(const struct lock_driver *driver, const char *path, struct lock_view *ret,
	struct error *err)
{
	const struct resource disk = {
		.kind = RESOURCE_DISK,
		.mode = RESOURCE_EXCLUSIVE,
		.path = (char *)path,
	};

	return driver->look(&(struct lock_look){ .resource = &disk, .fd = -1 }, ret, err);
}

int lock_manager_look_at(const struct lock_driver *driver, const struct lock_look *look,
	struct lock_view *ret, struct error *err)
{
	return driver->look(look, ret, err);
}
