/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "locking/file_locks.h"
#include "locking/file_record.h"
#include "locking/holder.h"
#include "locking/lock_conflict.h"
#include "locking/saved_state.h"

/* What can be said about an image now. Returns 0 or -errno with a sentence. */
static int image_observe(const struct file_image *image, const struct lock_owner *owner,
	struct record *record, struct stamp *stamp)
{
	int ret = stamp_take(image->places[0].life, stamp);

	if (ret == 0)
		ret = file_record_read(
			image->places[0].life, &image->resource.id, owner->boot_id, record);
	return ret < 0 ? ret : 0;
}

static int image_append(const struct file_image *image, const struct lock_owner *owner,
	struct str *out, struct error *err)
{
	struct saved_entry entry = { .resource = image->resource };
	struct record record = { 0 };
	int ret;

	if (image->held)
		entry.hold = image->skipped ? SAVED_SKIPPED : SAVED_LOCKED;
	if (entry.hold == SAVED_LOCKED && image->resource.mode != RESOURCE_SHARED) {
		ret = image_observe(image, owner, &record, &entry.stamp);
		if (ret < 0)
			return error_set(err, ret, "read the state of %s: %s", image->resource.path,
				strerror(-ret));
		entry.generation = record.generation;
		memcpy(entry.instance, record.owner.instance, sizeof(entry.instance));
	}
	saved_state_append(out, &entry);
	return 0;
}

int file_driver_inquire(struct lock *lock, char **ret, struct error *err)
{
	struct file_locks *locks = file_locks_of(lock);
	_cleanup_(str_finish) struct str out = { 0 };
	struct credentials_saved saved;
	char *text;
	size_t i;
	int code = file_locks_enter(locks, &saved, err);

	if (code < 0)
		return code;
	saved_state_begin(&out, lock->driver->name);
	for (i = 0; i < locks->n && code == 0; i++)
		code = image_append(&locks->images[i], &locks->owner, &out, err);
	file_locks_leave(&saved);
	if (code < 0)
		return code;
	text = str_take(&out);
	if (!text)
		return error_set(err, -ENOMEM, "no memory for the lock state");
	*ret = text;
	return 0;
}

/*
 * Has nobody armed this image since it was saved? One generation more with our
 * own name is us: armed for a resume that then failed.
 */
static bool record_is_kept(
	const struct saved_entry *saved, const struct record *now, const struct lock_owner *owner)
{
	if (now->generation == saved->generation)
		return str_equal(now->owner.instance, saved->instance);
	return now->generation == saved->generation + 1 &&
	       str_equal(now->owner.instance, owner->instance);
}

static const struct record replaced;

/*
 * @now		the record that is there, its generation 0 if there is none; NULL: it
 *		has not moved; &replaced: whatever it says, it is not the same file's
 */
static int image_stale(const struct file_image *image, const struct record *now, struct error *err)
{
	char path[PATH_SHORT_SIZE], who[200];
	struct lock_holder user;

	if (!now) {
		snprintf(who, sizeof(who), "written without vmlatch");
	} else if (now == &replaced) {
		snprintf(who, sizeof(who), "replaced by another file");
	} else if (!now->generation) {
		snprintf(who, sizeof(who), "used by somebody (its record is gone)");
	} else {
		holder_from_record(now, &user);
		snprintf(who, sizeof(who), "used by ");
		lock_holder_phrase(&user, who + strlen(who), sizeof(who) - strlen(who));
	}
	return error_set(err, LOCK_STALE,
		"%s was %s after its lock was given back, so the guest must not go on: end it with "
		"'vmlatch stop' and start it anew ('vmlatch resume --force-stale' risks the disk)",
		path_short(image->resource.path, path), who);
}

static bool image_is_replaced(const struct file_image *image)
{
	struct stat info;

	return stat(image->resource.path, &info) == 0 &&
	       !resource_identity_is(&image->resource.id, &info);
}

static int image_compare(const struct file_image *image, const struct saved_entry *saved,
	const struct lock_owner *owner, struct error *err)
{
	struct record now = { 0 };
	struct stamp stamp;
	int ret;

	if (saved->hold != SAVED_LOCKED || !image->held || image->skipped ||
		image->resource.mode == RESOURCE_SHARED || !saved->stamp.ino)
		return 0;
	ret = image_observe(image, owner, &now, &stamp);
	if (ret < 0)
		return error_set(
			err, ret, "read the state of %s: %s", image->resource.path, strerror(-ret));
	if (!record_is_kept(saved, &now, owner))
		return image_stale(image, &now, err);
	if (!stamp_is_kept(&saved->stamp, &stamp))
		return image_stale(image, NULL, err);
	/* what the lock is on is as it was; but QEMU, or a new start, would find another file */
	return image_is_replaced(image) ? image_stale(image, &replaced, err) : 0;
}

/* By identity; a file that another one has taken the place of, by its name. */
static const struct saved_entry *entry_find(
	const struct saved_state *state, const struct resource *resource)
{
	struct resource named = *resource;
	const struct saved_entry *entry = saved_state_find(state, resource);

	named.id.ino = 0;
	return entry ? entry : saved_state_find(state, &named);
}

static int images_compare(
	struct file_locks *locks, const struct saved_state *state, struct error *err)
{
	const struct saved_entry *entry;
	int ret = 0;
	size_t i;

	for (i = 0; i < locks->n && ret == 0; i++) {
		entry = entry_find(state, &locks->images[i].resource);
		if (entry)
			ret = image_compare(&locks->images[i], entry, &locks->owner, err);
	}
	return ret;
}

static int images_check(struct file_locks *locks, struct error *err)
{
	size_t i;
	int ret = 0;

	for (i = 0; i < locks->n && ret == 0; i++)
		ret = file_image_check(&locks->images[i], err);
	return ret;
}

int file_driver_verify(struct lock *lock, const char *saved, struct error *err)
{
	struct file_locks *locks = file_locks_of(lock);
	_cleanup_(saved_state_finish) struct saved_state state = { 0 };
	struct credentials_saved rights;
	int ret;

	if (!saved)
		return images_check(locks, err);
	ret = saved_state_from_text(saved, lock->driver->name, &state, err);
	if (ret == 0)
		ret = file_locks_enter(locks, &rights, err);
	if (ret < 0)
		return ret;
	ret = images_compare(locks, &state, err);
	file_locks_leave(&rights);
	return ret;
}
