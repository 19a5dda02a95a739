/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flock.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <unistd.h>

#include <locking/stamp.h>

/*
 * A lock driver that is loaded: flock(2) on the images. So a script that says
 * 'flock web1.img COMMAND' has to wait until the VM is paused or has ended, and a
 * VM is refused while such a command runs.
 *
 * The lock is on the open file description, which QEMU inherits: it ends with
 * QEMU. Next to the driver 'file' it lacks: other drivers' VMs do not see its locks,
 * nor does a network file system (NFS makes a lock of another kind of it, which
 * stands in QEMU's own way); who holds one is a pid at best; there is no guard, so a
 * QEMU that was taken over can unlock; of somebody else's writing size and time of
 * change tell alone; no leases, no shared writers, no block devices.
 */

_public_ extern const struct lock_driver vmlatch_lock_driver;

static int create(const struct lock_params *params, struct lock **ret, struct error *err)
{
	struct locks *locks = calloc(1, sizeof(*locks));

	if (!locks)
		return error_set(err, -ENOMEM, "no memory for locks");
	locks->base.driver = &vmlatch_lock_driver;
	locks->credentials = params->credentials;
	*ret = &locks->base;
	return 0;
}

static void destroy(struct lock *lock)
{
	struct locks *locks = locks_of(lock);

	if (!locks)
		return;
	while (locks->n)
		image_finish(&locks->images[--locks->n]);
	free(locks->images);
	free(locks);
}

static void set_owner_pid(struct lock *lock, pid_t pid, uint64_t start_time)
{
	(void)lock, (void)pid, (void)start_time; /* there is no record to say it in */
}

/* By path first: the caller may not know the identity yet. */
static struct image *find(struct lock *lock, const struct resource *like)
{
	struct locks *locks = locks_of(lock);
	size_t i;

	for (i = 0; i < locks->n; i++) {
		if (strcmp(locks->images[i].resource.path, like->path) == 0)
			return &locks->images[i];
	}
	for (i = 0; i < locks->n; i++) {
		if (resource_is_same(&locks->images[i].resource, like))
			return &locks->images[i];
	}
	return NULL;
}

static int add_resource(struct lock *lock, const struct resource *resource, struct error *err)
{
	struct locks *locks = locks_of(lock);
	struct image *member, *grown, image = { .fd = -1 };
	struct resource identified;
	size_t at;
	int ret = image_identify(resource, &identified, err);

	if (ret < 0)
		return ret;
	member = find(lock, &identified);
	if (member && identified.mode > member->resource.mode && member->fd >= 0)
		return error_set(err, -EBUSY, "%s is in use as %s already: detach it first",
			resource->path, resource_mode_name(member->resource.mode));
	if (member && identified.mode > member->resource.mode)
		member->resource.mode = identified.mode;
	if (member)
		return 0;
	grown = reallocarray(locks->images, locks->n + 1, sizeof(*grown));
	if (grown)
		locks->images = grown;
	if (!grown || resource_copy(&image.resource, &identified) < 0)
		return error_set(err, -ENOMEM, "no memory for %s", resource->path);
	for (at = locks->n++; at; at--) {
		if (resource_compare(&image.resource, &grown[at - 1].resource) >= 0)
			break;
		grown[at] = grown[at - 1];
	}
	grown[at] = image;
	return 0;
}

/* Who is in the way, if the kernel tells. */
static void conflict_set(struct lock_conflict *conflict, const struct image *image)
{
	struct lock_view view = { 0 };
	struct stat info;

	*conflict = (struct lock_conflict){ .id = image->resource.id };
	snprintf(conflict->path, sizeof(conflict->path), "%s", image->resource.path);
	if (fstat(image->fd, &info) == 0)
		flock_look(&info, &view);
	conflict->holder = view.holder;
}

static int acquire(
	struct lock *lock, unsigned flags, struct lock_conflict *conflict, struct error *err)
{
	struct locks *locks = locks_of(lock);
	size_t n;
	int ret = 0;

	if (flags & LOCK_REGISTER_ONLY)
		return 0;
	for (n = 0; n < locks->n && ret == 0; n++) {
		struct image *image = &locks->images[n];

		image->taken_now = image->opened_now = false;
		if (!image->held)
			ret = image_lock(locks, image, err);
	}
	if (ret == LOCK_BUSY && conflict)
		conflict_set(conflict, &locks->images[n - 1]);
	while (ret != 0 && n)
		image_undo(&locks->images[--n]);
	return ret;
}

static int arm(struct lock *lock, struct error *err)
{
	(void)lock, (void)err; /* there is no record, and so no generation */
	return 0;
}

static int release(struct lock *lock, const struct resource *only, struct error *err)
{
	struct locks *locks = locks_of(lock);
	struct image *image = only ? find(lock, only) : NULL;
	size_t i;

	(void)err;
	if (image) {
		/* closing is not enough: QEMU has the same description */
		if (image->held)
			flock(image->fd, LOCK_UN);
		image_finish(image);
		memmove(image, image + 1, (locks->images + --locks->n - image) * sizeof(*image));
	}
	for (i = 0; !only && i < locks->n; i++) {
		image = &locks->images[i];
		if (!image->held)
			continue;
		/* else a write that comes at once could leave the same time */
		if (image->resource.mode == RESOURCE_EXCLUSIVE)
			stamp_wait_for_tick(image->fd);
		flock(image->fd, LOCK_UN);
		image->held = false;
	}
	return 0;
}

static int lost_fd(struct lock *lock)
{
	(void)lock;
	return -1;
}

static size_t resource_fds(
	struct lock *lock, const struct resource *resource, int fds[static LOCK_FDS_MAX])
{
	const struct image *image = find(lock, resource);

	if (!image || !image->held)
		return 0;
	fds[0] = image->fd;
	return 1;
}

static int status(struct lock *lock, const struct resource *resource, struct lock_status *ret)
{
	const struct image *image = find(lock, resource);
	struct stat info;

	if (!image)
		return -ENOENT;
	*ret = (struct lock_status){
		.id = image->resource.id,
		.mode = image->resource.mode,
		.held = image->held,
	};
	ret->moved = image->held && (stat(image->resource.path, &info) < 0 ||
					    !resource_identity_is(&ret->id, &info));
	return 0;
}

static int look(const struct lock_look *look, struct lock_view *ret, struct error *err)
{
	struct lock_view view = { .lockable = true };
	struct resource identified;
	struct stat info;
	int code = image_identify(look->resource, &identified, err);

	if (code == 0 && (look->fd < 0 ? stat(identified.path, &info) : fstat(look->fd, &info)) < 0)
		code = error_set(err, -errno, "%s: %s", identified.path, strerror(errno));
	if (code < 0)
		return code;
	view.id = resource_identity_of(&info);
	flock_look(&info, &view);
	view.busy = view.held &&
		    (view.mode == RESOURCE_EXCLUSIVE || identified.mode == RESOURCE_EXCLUSIVE);
	*ret = view;
	return 0;
}

const struct lock_driver vmlatch_lock_driver = {
	.abi = LOCK_DRIVER_ABI,
	.name = "flock",
	.create = create,
	.destroy = destroy,
	.set_owner_pid = set_owner_pid,
	.add_resource = add_resource,
	.acquire = acquire,
	.verify = flock_verify,
	.arm = arm,
	.release = release,
	.inquire = flock_inquire,
	.descriptors = flock_descriptors,
	.adopt = flock_adopt,
	.lost_fd = lost_fd,
	.resource_fds = resource_fds,
	.status = status,
	.look = look,
};
