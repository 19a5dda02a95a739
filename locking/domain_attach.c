/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "locking/domain_lock_data.h"
#include "locking/lock_manager.h"
#include "locking/saved_state.h"

/* What comes to a VM and leaves it: a disk's images, one image, a lease. */

/* Returns 1 if it is there already, 0 if it is new, or -EBUSY. */
static int resource_is_attached(
	const struct domain_lock *domain, const struct resource *resource, struct error *err)
{
	const struct resource *member = resource_set_find(&domain->resources, resource);

	if (!member)
		return 0;
	if (resource->mode <= member->mode)
		return 1;
	return error_set(err, -EBUSY, "%s is attached already, as %s: detach it first",
		resource->path, resource_mode_name(member->mode));
}

/* What is locked may hang on the name, too: of another one than it has the driver finds out. */
static bool resource_has_name(const struct domain_lock *domain, const struct resource *resource)
{
	return str_equal(resource_set_find(&domain->resources, resource)->path, resource->path);
}

static int resource_add(struct domain_lock *domain, const struct resource *like,
	struct resource_set *added, struct error *err)
{
	struct resource other_name = *like; /* shallow: for the call */
	const struct resource *resource = like;
	int ret = resource_is_attached(domain, resource, err);

	if (ret < 0)
		return ret;
	if (ret == 1 && resource_has_name(domain, resource))
		return 0;
	if (ret == 1) {
		other_name.id = (struct resource_identity){ 0 };
		resource = &other_name;
	}
	/* first the note, so that whatever was added can be taken away again */
	ret = resource_set_add(added, resource, NULL);
	if (ret == 0)
		ret = resource_set_add(&domain->resources, resource, NULL);
	if (ret < 0)
		return error_set(err, ret, "no memory for %s", resource->path);
	return lock_manager_add_resource(domain->lock, resource, err);
}

static void resource_forget(struct domain_lock *domain, const struct resource *resource)
{
	struct resource *member = resource_set_find(&domain->resources, resource);

	lock_manager_release(domain->lock, resource, NULL);
	if (member)
		resource_set_remove(&domain->resources, member);
}

static int attach_all(struct domain_lock *domain, const struct resource_set *resources,
	struct lock_conflict *conflict, struct error *err)
{
	_cleanup_(resource_set_finish) struct resource_set added = { 0 };
	struct lock_conflict unread;
	size_t i;
	int ret = 0;

	for (i = 0; i < resources->n && ret == 0; i++)
		ret = resource_add(domain, &resources->items[i], &added, err);
	if (ret == 0 && domain->state == DOMAIN_LOCK_HELD) {
		ret = lock_manager_acquire(domain->lock, 0, conflict ? conflict : &unread, err);
		if (ret == 0)
			ret = lock_manager_arm(domain->lock, err);
	}
	for (i = 0; i < added.n && ret != 0; i++)
		resource_forget(domain, &added.items[i]);
	if (ret == 0 && domain->state == DOMAIN_LOCK_HELD)
		domain_lock_refresh(domain);
	return ret;
}

int domain_lock_check_saved(struct domain_lock *domain, const char *text, struct error *err)
{
	_cleanup_(freep) char *now = NULL;
	int ret = lock_manager_inquire(domain->lock, &now, err);

	if (ret == 0)
		ret = saved_state_covers(text, now, err);
	if (ret != 0)
		return ret < 0 ? ret : 0;
	return error_set(err, LOCK_CHANGED, "what is locked has changed since its state was saved");
}

/* 0 or -errno, and then it is as it was. */
static int text_forget(char **text, const struct resource *resource)
{
	char *changed;
	int ret;

	if (!*text)
		return 0;
	ret = saved_state_without(*text, resource, &changed);
	if (ret < 0)
		return ret;
	free(*text);
	*text = changed;
	return 0;
}

/* What was saved must not know it any more. */
static int saved_forget(
	struct domain_lock *domain, const struct resource *resource, struct error *err)
{
	int ret = text_forget(&domain->saved, resource);

	if (ret == 0)
		ret = text_forget(&domain->passed_over, resource);
	if (ret < 0)
		return error_set(
			err, ret, "cannot take %s out of the saved lock state", resource->path);
	return 0;
}

static int detach_one(
	struct domain_lock *domain, const struct resource *resource, struct error *err)
{
	struct resource *member = resource_set_find(&domain->resources, resource);
	int ret;

	if (!member)
		return 0;
	ret = saved_forget(domain, member, err);
	if (ret == 0)
		ret = lock_manager_release(domain->lock, member, err);
	if (ret < 0)
		return ret;
	resource_set_remove(&domain->resources, member);
	return 0;
}

static int attach_one(struct domain_lock *domain, const struct resource *resource,
	struct lock_conflict *conflict, struct error *err)
{
	struct resource copy = *resource; /* shallow: for the call */
	const struct resource_set one = { .items = &copy, .n = 1 };

	return attach_all(domain, &one, conflict, err);
}

int domain_lock_disk_attach(struct domain_lock *domain, const struct resource_set *images,
	struct lock_conflict *conflict, struct error *err)
{
	return attach_all(domain, images, conflict, err);
}

int domain_lock_image_attach(struct domain_lock *domain, const struct resource *image,
	struct lock_conflict *conflict, struct error *err)
{
	return attach_one(domain, image, conflict, err);
}

int domain_lock_lease_attach(struct domain_lock *domain, const struct resource *lease,
	struct lock_conflict *conflict, struct error *err)
{
	return attach_one(domain, lease, conflict, err);
}

int domain_lock_disk_detach(
	struct domain_lock *domain, const struct resource_set *images, struct error *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < images->n && ret == 0; i++)
		ret = detach_one(domain, &images->items[i], err);
	return ret;
}

int domain_lock_image_detach(
	struct domain_lock *domain, const struct resource *image, struct error *err)
{
	return detach_one(domain, image, err);
}

int domain_lock_lease_detach(
	struct domain_lock *domain, const struct resource *lease, struct error *err)
{
	return detach_one(domain, lease, err);
}
