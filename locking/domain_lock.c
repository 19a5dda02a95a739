/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/domain_lock.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "locking/domain_lock_data.h"
#include "locking/lock_manager.h"

/* The lock object of a VM: made, asked and ended. */

static int resources_add(
	struct domain_lock *domain, const struct resource_set *resources, struct error *err)
{
	size_t i;
	int ret;

	for (i = 0; resources && i < resources->n; i++) {
		ret = lock_manager_add_resource(domain->lock, &resources->items[i], err);
		if (ret < 0)
			return ret;
		if (resource_set_add(&domain->resources, &resources->items[i], NULL) < 0)
			return error_set(err, -ENOMEM, "no memory for locks");
	}
	return 0;
}

int domain_lock_new(const char *driver, const struct lock_params *params,
	const struct resource_set *resources, struct domain_lock **ret, struct error *err)
{
	_cleanup_(domain_lock_freep) struct domain_lock *domain = NULL;
	const struct lock_driver *found;
	int code = lock_manager_load(driver, &found, err);

	if (code < 0)
		return code;
	domain = calloc(1, sizeof(*domain));
	if (!domain)
		return error_set(err, -ENOMEM, "no memory for locks");
	code = lock_manager_new(found, params, &domain->lock, err);
	if (code == 0)
		code = resources_add(domain, resources, err);
	if (code < 0)
		return code;
	*ret = take_ptr(domain);
	return 0;
}

void domain_lock_free(struct domain_lock *domain)
{
	if (!domain)
		return;
	lock_manager_free(domain->lock);
	resource_set_finish(&domain->resources);
	free(domain->saved);
	free(domain->passed_over);
	free(domain);
}

void domain_lock_freep(struct domain_lock **domain)
{
	domain_lock_free(*domain);
}

enum domain_lock_state domain_lock_state(const struct domain_lock *domain)
{
	return domain->state;
}

const struct resource_set *domain_lock_resources(const struct domain_lock *domain)
{
	return &domain->resources;
}

const struct lock_driver *domain_lock_driver(const struct domain_lock *domain)
{
	return domain->lock->driver;
}

const char *domain_lock_driver_name(const struct domain_lock *domain)
{
	return domain->lock->driver->name;
}

void domain_lock_refresh(struct domain_lock *domain)
{
	struct lock_status status;
	size_t i = 0;

	while (i < domain->resources.n) {
		struct resource *member = &domain->resources.items[i];

		if (lock_manager_status(domain->lock, member, &status) < 0) {
			resource_set_remove(&domain->resources, member);
			continue;
		}
		member->id = status.id;
		member->mode = status.mode;
		i++;
	}
	resource_set_sort(&domain->resources);
}

int domain_lock_verify(struct domain_lock *domain, struct error *err)
{
	return lock_manager_verify(domain->lock, NULL, err);
}

void domain_lock_set_process(struct domain_lock *domain, pid_t pid, uint64_t start_time)
{
	lock_manager_set_owner_pid(domain->lock, pid, start_time);
}

int domain_lock_resource_status(
	struct domain_lock *domain, const struct resource *resource, struct lock_status *ret)
{
	return lock_manager_status(domain->lock, resource, ret);
}

int domain_lock_lost_fd(struct domain_lock *domain)
{
	return lock_manager_lost_fd(domain->lock);
}

size_t domain_lock_resource_fds(
	struct domain_lock *domain, const struct resource *resource, int fds[static LOCK_FDS_MAX])
{
	return lock_manager_resource_fds(domain->lock, resource, fds);
}
