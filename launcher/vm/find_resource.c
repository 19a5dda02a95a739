/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/find_resource.h"

#include <errno.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "launcher/disks/disks.h"
#include "launcher/lease_resource.h"
#include "locking/lock_manager.h"

/*
 * What no lock can be had for is refused now: a VM that has given its locks back
 * takes this one with the others only when it is resumed, and could not be. What
 * we may not open QEMU's user may (--user), so that is left to the lock.
 */
static int check_lockable(const struct vm *vm, const struct resource_set *images, struct error *err)
{
	const struct lock_driver *driver = domain_lock_driver(vm->domain);
	struct lock_look look = { .params = &vm->lock_params, .fd = -1, .to_lock = true };
	struct lock_view view;
	size_t i;
	int ret;

	for (i = 0; i < images->n; i++) {
		look.resource = &images->items[i];
		ret = lock_manager_look_at(driver, &look, &view, err);
		if (ret < 0 && ret != -EACCES && ret != -EPERM)
			return ret;
	}
	return 0;
}

/* A disk with its backing files, or one file of a chain. */
int find_disk(struct locks_job *job, struct error *err)
{
	struct disks_params params = {
		.readonly_locks = job->vm->plan->options->readonly_locks || job->readonly,
		.credentials = job->vm->plan->credentials,
	};
	_cleanup_(disks_finish) struct disks disks = { 0 };
	enum resource_mode mode = job->readonly ? RESOURCE_READER : RESOURCE_EXCLUSIVE;
	int ret = disks_from_path(job->text, mode, &params, &disks, err);

	if (ret < 0)
		return ret;
	if (disks.set.n == 0)
		return error_set(err, -EINVAL, "%s",
			disks.notes.n ? disks.notes.items[0].text
				      : "it names nothing that can be locked");
	ret = check_lockable(job->vm, &disks.set, err);
	if (ret < 0)
		return ret;
	job->images = disks.set;
	disks.set = (struct resource_set){ 0 };
	return 0;
}

int find_image(struct locks_job *job, struct error *err)
{
	struct resource image = {
		.kind = RESOURCE_DISK,
		.mode = job->readonly ? RESOURCE_READER : RESOURCE_EXCLUSIVE,
		.path = job->text,
	};
	struct stat info;

	if (stat(job->text, &info) < 0)
		return error_set(err, -errno, "%s: %s", job->text, strerror(errno));
	image.id = resource_identity_of(&info);
	if (resource_set_add(&job->images, &image, NULL) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return check_lockable(job->vm, &job->images, err);
}

int find_lease(struct locks_job *job, struct error *err)
{
	int ret = lease_resource_add(job->text, NULL, job->vm->plan->options, &job->images, err);

	return ret < 0 ? ret : check_lockable(job->vm, &job->images, err);
}

static const struct resource *attached_as(const struct resource_set *all, const char *path)
{
	size_t i;

	for (i = 0; i < all->n; i++) {
		if (all->items[i].kind == RESOURCE_DISK && strcmp(all->items[i].path, path) == 0)
			return &all->items[i];
	}
	return NULL;
}

/*
 * Of what is attached, what this path names, however it is spelt. Its backing
 * files may serve other disks. A file that is gone is known by its path alone; and
 * as long as a VM is released another name of a disk is one of its own.
 */
int find_attached_image(struct locks_job *job, struct error *err)
{
	const struct resource_set *all = domain_lock_resources(job->vm->domain);
	const struct resource *found = attached_as(all, job->text);
	struct stat info;
	size_t i;

	(void)err;
	if (found)
		return resource_set_add(&job->images, found, NULL);
	if (stat(job->text, &info) < 0)
		return 0;
	for (i = 0; i < all->n; i++) {
		if (all->items[i].kind == RESOURCE_DISK &&
			resource_identity_is(&all->items[i].id, &info))
			return resource_set_add(&job->images, &all->items[i], NULL);
	}
	return 0;
}

int find_attached_lease(struct locks_job *job, struct error *err)
{
	_cleanup_(resource_set_finish) struct resource_set named = { 0 };
	const struct resource *member;
	int ret = lease_resource_add(job->text, NULL, job->vm->plan->options, &named, err);

	if (ret < 0)
		return ret;
	member = resource_set_find(domain_lock_resources(job->vm->domain), &named.items[0]);
	return member ? resource_set_add(&job->images, member, NULL) : 0;
}
