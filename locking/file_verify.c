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

/* What arming it again writes in all its places: one more than any of them knew. */
static uint64_t next_generation(const struct saved_entry *entry)
{
	uint64_t highest = entry->generation;
	size_t i;

	for (i = 0; i < entry->n_places; i++) {
		if (entry->places[i].generation > highest)
			highest = entry->places[i].generation;
	}
	return record_count_on(highest);
}

/*
 * Has nobody armed this image since it was saved? The next generation with our own
 * name is us: armed for a resume that then failed.
 */
static bool record_is_kept(const struct saved_place *saved, const struct record *now,
	const struct lock_owner *owner, uint64_t next)
{
	bool of_a_part = saved->use == FILE_USE_PART_READER || saved->use == FILE_USE_PART_WRITER;

	if (now->parts != saved->parts && !of_a_part)
		return false;
	if (now->generation == saved->generation)
		return str_equal(now->owner.instance, saved->instance);
	return now->generation == next && str_equal(now->owner.instance, owner->instance);
}

/*
 * Is the file another one than it was, or another one by its name? An open file
 * becomes another one by its number when an overlay copies it up: a lower file of
 * several names is then one of its own. Other hosts number their devices otherwise,
 * so that only the inode is compared.
 */
static bool image_is_another(const struct file_image *image, const struct saved_entry *saved)
{
	struct stat locked, named;

	if (!saved->stamp.ino || !file_image_has_stamp(image))
		return false;
	if (fstat(image->places[0].life, &locked) == 0 && locked.st_ino != saved->stamp.ino)
		return true;
	/* what the lock is on is as it was; but QEMU, or a new start, would find another file */
	return stat(image->resource.path, &named) == 0 &&
	       !resource_identity_is(&image->resource.id, &named);
}

/* @now: the record that is there, its generation 0 if there is none; NULL: it has not moved */
static int image_stale(const struct file_image *image, const struct saved_entry *saved,
	const struct record *now, struct error *err)
{
	const char *when = "after its lock was given back";
	char path[PATH_SHORT_SIZE], what[200];
	struct lock_holder user;

	if (now && now->generation) {
		holder_from_record(now, &user);
		snprintf(what, sizeof(what), "used by ");
		lock_holder_phrase(&user, what + strlen(what), sizeof(what) - strlen(what));
	} else if (image_is_another(image, saved)) {
		snprintf(what, sizeof(what),
			"replaced by another file (or copied up, on an overlay)");
		when = "since it was locked"; /* before its pause, perhaps */
	} else if (now) {
		snprintf(what, sizeof(what), "used by somebody (its record is gone)");
	} else {
		snprintf(what, sizeof(what), "written without vmlatch");
	}
	return error_set(err, LOCK_STALE,
		"%s was %s %s, so the guest must not go on: end it with 'vmlatch stop' and start "
		"it anew ('vmlatch resume --force-stale' risks the disk)",
		path_short(image->resource.path, path), what, when);
}

/* What was saved of a place; of one that was not there then: nothing, which fits anything. */
static bool place_find_saved(
	const struct saved_entry *entry, const struct file_place *place, struct saved_place *ret)
{
	size_t i;

	if (place->kind == FILE_PLACE_IMAGE) {
		*ret = (struct saved_place){ .generation = entry->generation };
		memcpy(ret->instance, entry->instance, sizeof(ret->instance));
		return true;
	}
	for (i = 0; i < entry->n_places; i++) {
		if (!str_equal(entry->places[i].path, place->path))
			continue;
		*ret = entry->places[i];
		return true;
	}
	return false;
}

static int places_compare(const struct file_image *image, const struct saved_entry *entry,
	const struct lock_owner *owner, struct error *err)
{
	struct saved_place saved;
	struct record now;
	size_t i;
	int ret;

	for (i = 0; i < image->n_places; i++) {
		if (!place_find_saved(entry, &image->places[i], &saved))
			continue;
		ret = file_place_read_record(&image->places[i], owner, &now);
		if (ret < 0)
			return error_set(err, ret, "read the record of %s: %s",
				image->places[i].path, strerror(-ret));
		if (!record_is_kept(&saved, &now, owner, next_generation(entry)))
			return image_stale(image, entry, &now, err);
	}
	return 0;
}

static int image_compare(const struct file_image *image, const struct saved_entry *saved,
	const struct lock_owner *owner, struct error *err)
{
	struct stamp stamp;
	int ret;

	if (saved->hold != SAVED_LOCKED || !file_image_is_comparable(image))
		return 0;
	ret = places_compare(image, saved, owner, err);
	if (ret != 0 || !saved->stamp.ino || !file_image_has_stamp(image))
		return ret;
	ret = stamp_take(image->places[0].life, &stamp);
	if (ret < 0)
		return error_set(
			err, ret, "read the state of %s: %s", image->resource.path, strerror(-ret));
	if (stamp_is_kept(&saved->stamp, &stamp) && !image_is_another(image, saved))
		return 0;
	return image_stale(image, saved, NULL, err);
}

static int images_compare(
	struct file_locks *locks, const struct saved_state *state, struct error *err)
{
	const struct saved_entry *entry;
	int ret = 0;
	size_t i;

	for (i = 0; i < locks->n && ret == 0; i++) {
		entry = saved_state_find_named(state, &locks->images[i].resource);
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
	int ret;

	if (!saved) {
		file_locks_watch_reset(
			locks); /* before the look, so that nothing falls in between */
		return images_check(locks, err);
	}
	ret = saved_state_from_text(saved, lock->driver->name, &state, err);
	if (ret == 0)
		ret = file_rights_enter(&locks->rights, err);
	if (ret < 0)
		return ret;
	ret = images_compare(locks, &state, err);
	file_rights_leave(&locks->rights);
	return ret;
}
