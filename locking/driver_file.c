/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "locking/drivers.h"
#include "locking/file_locks.h"
#include "locking/lease.h"
#include "locking/stamp.h"

/*
 * Locks on the images themselves, without a daemon: see file_lock.h for the
 * bytes, file_image.h for one image, file_record.h for what is written down.
 */

static void file_destroy(struct lock *lock)
{
	struct file_locks *locks = file_locks_of(lock);
	size_t i;

	if (!locks)
		return;
	for (i = 0; i < locks->n; i++)
		file_image_finish(&locks->images[i]);
	free(locks->images);
	closep(&locks->watch);
	file_spaces_finish(&locks->spaces);
	free(locks);
}

static int file_create(const struct lock_params *params, struct lock **ret, struct error *err)
{
	struct file_locks *locks = calloc(1, sizeof(*locks));

	if (!locks)
		return error_set(err, -ENOMEM, "no memory for locks");
	locks->base.driver = &lock_driver_file;
	locks->watch = -1;
	locks->owner = params->owner;
	locks->rights.credentials = params->credentials;
	if (file_spaces_init(&locks->spaces, params) < 0) {
		file_destroy(&locks->base);
		return error_set(err, -ENOMEM, "no memory for locks");
	}
	*ret = &locks->base;
	return 0;
}

static void file_set_owner_pid(struct lock *lock, pid_t pid, uint64_t start_time)
{
	struct file_locks *locks = file_locks_of(lock);
	size_t i, k;

	locks->owner.pid = pid;
	locks->owner.start_time = start_time;
	for (i = 0; i < locks->n; i++) {
		for (k = 0; k < locks->images[i].n_places; k++)
			file_place_rename_owner(&locks->images[i].places[k], &locks->owner);
	}
}

static int images_reserve(struct file_locks *locks)
{
	size_t size = locks->size ? locks->size * 2 : 8;
	struct file_image *grown;

	if (locks->n < locks->size)
		return 0;
	grown = reallocarray(locks->images, size, sizeof(*grown));
	if (!grown)
		return -ENOMEM;
	locks->images = grown;
	locks->size = size;
	return 0;
}

static int image_strengthen(
	struct file_image *image, const struct resource *resource, struct error *err)
{
	if (resource->mode <= image->resource.mode)
		return 0;
	if (file_image_is_open(image) || image->held)
		return error_set(err, -EBUSY, "%s is in use as %s already: detach it first",
			resource->path, resource_mode_name(image->resource.mode));
	image->resource.mode = resource->mode;
	return 0;
}

static int file_add_resource(struct lock *lock, const struct resource *resource, struct error *err)
{
	struct file_locks *locks = file_locks_of(lock);
	struct file_image image, *member;
	struct lease lease;
	size_t at;
	int ret;

	if (resource->kind == RESOURCE_LEASE) {
		ret = lease_from_text(resource->path, &lease, err);
		if (ret < 0)
			return error_status(err, ret, 64);
	}
	member = file_locks_find(locks, resource);
	if (member)
		return image_strengthen(member, resource, err);
	if (images_reserve(locks) < 0 || file_image_init(&image, resource, &locks->rights) < 0)
		return error_set(err, -ENOMEM, "no memory for %s", resource->path);
	for (at = locks->n++; at; at--) {
		if (resource_compare(resource, &locks->images[at - 1].resource) >= 0)
			break;
		locks->images[at] = locks->images[at - 1];
	}
	locks->images[at] = image;
	return 0;
}

static int file_arm(struct lock *lock, struct error *err)
{
	struct file_locks *locks = file_locks_of(lock);
	size_t i;
	int ret;

	ret = file_rights_enter(&locks->rights, err);
	if (ret < 0)
		return ret;
	for (i = 0; i < locks->n && ret == 0; i++)
		ret = file_image_arm(&locks->images[i], &locks->owner, err);
	file_rights_leave(&locks->rights);
	return ret;
}

/* Whoever writes once it is free shall be seen by the stamp. */
static void images_wait_for_tick(const struct file_locks *locks)
{
	size_t i;

	for (i = 0; i < locks->n; i++) {
		const struct file_image *image = &locks->images[i];

		if (image->n_armed && file_image_has_stamp(image) &&
			image->resource.mode == RESOURCE_EXCLUSIVE)
			stamp_wait_for_tick(image->places[0].life);
	}
}

/* Half given back is worse than not at all: take again what was dropped just now. */
static void images_retake(struct file_locks *locks, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		struct file_image *image = &locks->images[i];

		if (!image->taken_now)
			continue;
		file_image_retake(image);
	}
}

static int images_drop(struct file_locks *locks, struct error *err)
{
	size_t i;
	int ret;

	images_wait_for_tick(locks);
	for (i = 0; i < locks->n; i++) {
		struct file_image *image = &locks->images[i];

		image->taken_now = image->held;
		ret = file_image_drop(image, err);
		if (ret < 0) {
			images_retake(locks, i);
			return ret;
		}
	}
	return 0;
}

static int file_release(struct lock *lock, const struct resource *only, struct error *err)
{
	struct file_locks *locks = file_locks_of(lock);
	struct file_image *image = only ? file_locks_find(locks, only) : NULL;
	int ret;

	if (only && !image)
		return 0;
	/* the rights are only needed to clear the record, and that may fail */
	file_rights_enter(&locks->rights, NULL);
	ret = only ? file_image_drop(image, err) : images_drop(locks, err);
	file_rights_leave(&locks->rights);
	if (only && ret == 0)
		file_locks_remove(locks, image);
	return ret;
}

/* A lock on a local inode goes only with its descriptors; a lock file can be taken away. */
static int file_lost_fd(struct lock *lock)
{
	return file_locks_of(lock)->watch;
}

static size_t file_resource_fds(
	struct lock *lock, const struct resource *resource, int fds[static LOCK_FDS_MAX])
{
	struct file_image *image = file_locks_find(file_locks_of(lock), resource);
	size_t i;

	if (!image || !file_image_has_lines(image))
		return 0;
	for (i = 0; i < image->n_places; i++)
		fds[i] = image->places[i].life;
	image->reopened = false;
	return i;
}

_Static_assert(FILE_PLACES_MAX <= LOCK_FDS_MAX, "a resource has room for all its places");

/* The path first: after an acquire the identity may be another than the caller knows. */
static const struct file_image *image_recall(
	const struct file_locks *locks, const struct resource *like)
{
	const struct file_image *named = NULL;
	size_t i;

	for (i = 0; i < locks->n; i++) {
		const struct file_image *image = &locks->images[i];

		if (strcmp(image->resource.path, like->path) != 0)
			continue;
		named = image;
		if (resource_identity_equal(&image->resource.id, &like->id))
			break;
	}
	return named ? named : file_locks_find(locks, like);
}

static int file_status(struct lock *lock, const struct resource *resource, struct lock_status *ret)
{
	const struct file_image *image = image_recall(file_locks_of(lock), resource);
	struct stat info;

	if (!image)
		return -ENOENT;
	*ret = (struct lock_status){
		.id = image->resource.id,
		.mode = image->resource.mode,
		.held = image->held,
		.skipped = image->skipped,
		.recorded = file_image_is_recorded(image),
		.reopened = image->reopened,
	};
	if (resource->kind == RESOURCE_DISK && file_image_is_open(image))
		ret->moved = stat(image->resource.path, &info) < 0 ||
			     !resource_identity_is(&ret->id, &info);
	return 0;
}

const struct lock_driver lock_driver_file = {
	.abi = LOCK_DRIVER_ABI,
	.name = "file",
	.create = file_create,
	.destroy = file_destroy,
	.set_owner_pid = file_set_owner_pid,
	.add_resource = file_add_resource,
	.acquire = file_driver_acquire,
	.verify = file_driver_verify,
	.arm = file_arm,
	.release = file_release,
	.inquire = file_driver_inquire,
	.descriptors = file_driver_descriptors,
	.adopt = file_driver_adopt,
	.lost_fd = file_lost_fd,
	.resource_fds = file_resource_fds,
	.status = file_status,
	.look = file_driver_look,
};
