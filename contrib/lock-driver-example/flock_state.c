/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flock.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <base/cleanup.h>
#include <locking/saved_state.h>

static int image_compare(
	const struct image *image, const struct saved_entry *saved, struct error *err)
{
	struct stamp now;
	int ret;

	/* a reader, or nothing was known: there is nothing to compare */
	if (!saved || !saved->stamp.ino)
		return 0;
	ret = stamp_take(image->fd, &now);
	if (ret < 0)
		return error_set(err, ret, "look at %s: %s", image->resource.path, strerror(-ret));
	if (!stamp_is_kept(&saved->stamp, &now))
		return error_set(err, LOCK_STALE,
			"%s was written after its lock was given back, so the guest must not go "
			"on: end it with 'vmlatch stop' and start it anew",
			image->resource.path);
	return 0;
}

/* A flock on a local file is never lost: it goes only with its description. */
int flock_verify(struct lock *lock, const char *saved, struct error *err)
{
	_cleanup_(saved_state_finish) struct saved_state state = { 0 };
	struct locks *locks = locks_of(lock);
	int ret = saved ? saved_state_from_text(saved, lock->driver->name, &state, err) : 0;
	size_t i;

	for (i = 0; i < locks->n && ret == 0; i++) {
		if (locks->images[i].held)
			ret = image_compare(&locks->images[i],
				saved_state_find(&state, &locks->images[i].resource), err);
	}
	return ret;
}

int flock_inquire(struct lock *lock, char **ret, struct error *err)
{
	const struct locks *locks = locks_of(lock);
	struct str out = { 0 };
	char *text;
	size_t i;

	saved_state_begin(&out, lock->driver->name);
	for (i = 0; i < locks->n; i++) {
		const struct image *image = &locks->images[i];
		struct saved_entry entry = {
			.resource = image->resource,
			.hold = image->held ? SAVED_LOCKED : SAVED_FREE,
		};
		int code = 0;

		if (image->held && image->resource.mode == RESOURCE_EXCLUSIVE)
			code = stamp_take(image->fd, &entry.stamp);
		if (code < 0) {
			str_finish(&out);
			return error_set(
				err, code, "look at %s: %s", image->resource.path, strerror(-code));
		}
		saved_state_append(&out, &entry);
	}
	text = str_take(&out);
	if (!text)
		return error_set(err, -ENOMEM, "no memory for the lock state");
	*ret = text;
	return 0;
}

int flock_descriptors(struct lock *lock, struct lock_descriptor **ret, size_t *n, struct error *err)
{
	const struct locks *locks = locks_of(lock);
	struct lock_descriptor *all = calloc(locks->n + 1, sizeof(*all));
	size_t i;

	if (!all)
		return error_set(err, -ENOMEM, "no memory for lock descriptors");
	*n = 0;
	for (i = 0; i < locks->n; i++) {
		if (locks->images[i].held)
			all[(*n)++] = (struct lock_descriptor){ locks->images[i].fd, true };
	}
	*ret = all;
	return 0;
}

/* The child had the same resources in the same order; those that it holds have come. */
int flock_adopt(struct lock *lock, const int *fds, size_t n, const char *state, struct error *err)
{
	_cleanup_(saved_state_finish) struct saved_state saved = { 0 };
	struct locks *locks = locks_of(lock);
	const struct saved_entry *entry;
	size_t i, used = 0;
	int ret = saved_state_from_text(state, lock->driver->name, &saved, err);
	struct stat info;

	for (i = 0; i < locks->n && ret == 0; i++) {
		entry = saved_state_find(&saved, &locks->images[i].resource);
		if (!entry || entry->hold != SAVED_LOCKED)
			continue;
		if (used == n || fstat(fds[used++], &info) < 0 ||
			!resource_identity_is(&locks->images[i].resource.id, &info))
			ret = error_set(err, -EINVAL, "the descriptors do not fit the lock state");
	}
	if (ret == 0 && used != n)
		ret = error_set(err, -EINVAL, "the descriptors do not fit the lock state");
	for (i = 0; i < locks->n && ret == 0; i++) {
		entry = saved_state_find(&saved, &locks->images[i].resource);
		if (!entry || entry->hold != SAVED_LOCKED)
			continue;
		locks->images[i].fd = *fds++;
		locks->images[i].held = true;
	}
	return ret;
}
