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

/* The record that a place has now; generation 0: none. 0 or -errno. */
static int place_observe(const struct file_image *image, const struct file_place *place,
	const struct lock_owner *owner, struct record *ret)
{
	int code;

	*ret = (struct record){ 0 };
	code = file_record_read(
		file_place_record_home(place), &image->resource.id, owner->boot_id, ret);
	return code < 0 ? code : 0;
}

/* Only who holds it alone, or reads, can say later that it is as it was. */
static bool image_is_comparable(const struct file_image *image)
{
	return file_image_has_lines(image) && image->resource.mode != RESOURCE_SHARED;
}

static int entry_add_place(
	struct saved_entry *entry, const struct file_place *place, const struct record *record)
{
	struct saved_place *grown =
		reallocarray(entry->places, entry->n_places + 1, sizeof(*grown));
	struct saved_place *saved;

	if (!grown)
		return -ENOMEM;
	entry->places = grown;
	saved = &grown[entry->n_places];
	*saved = (struct saved_place){
		.use = place->use,
		.id = place->id,
		.generation = record->generation,
		.parts = record->parts,
		.path = strdup(place->path),
	};
	if (!saved->path)
		return -ENOMEM;
	snprintf(saved->kind, sizeof(saved->kind), "%s", file_place_kind_name(place->kind));
	memcpy(saved->instance, record->owner.instance, sizeof(saved->instance));
	entry->n_places++;
	return 0;
}

/* What can be said about an image's places now. 0 or -errno. */
static int image_observe(
	const struct file_image *image, const struct lock_owner *owner, struct saved_entry *entry)
{
	bool comparable = image_is_comparable(image);
	struct record record = { 0 };
	size_t i;
	int ret = 0;

	if (comparable && file_image_has_stamp(image))
		ret = stamp_take(image->places[0].life, &entry->stamp);
	for (i = 0; i < image->n_places && ret == 0; i++) {
		const struct file_place *place = &image->places[i];

		if (comparable)
			ret = place_observe(image, place, owner, &record);
		if (ret == 0 && place->kind != FILE_PLACE_IMAGE) {
			ret = entry_add_place(entry, place, &record);
		} else if (ret == 0) {
			entry->generation = record.generation;
			memcpy(entry->instance, record.owner.instance, sizeof(entry->instance));
		}
	}
	return ret;
}

static int image_append(const struct file_image *image, const struct lock_owner *owner,
	struct str *out, struct error *err)
{
	struct saved_entry entry = { .resource = image->resource };
	int ret = 0;

	if (image->held)
		entry.hold = image->skipped ? SAVED_SKIPPED : SAVED_LOCKED;
	if (entry.hold == SAVED_LOCKED)
		ret = image_observe(image, owner, &entry);
	if (ret == 0)
		saved_state_append(out, &entry);
	entry.resource = (struct resource){ 0 }; /* the image's */
	saved_entry_finish(&entry);
	return ret < 0 ? error_set(err, ret, "read the state of %s: %s", image->resource.path,
				 strerror(-ret))
		       : 0;
}

int file_driver_inquire(struct lock *lock, char **ret, struct error *err)
{
	struct file_locks *locks = file_locks_of(lock);
	_cleanup_(str_finish) struct str out = { 0 };
	char *text;
	size_t i;
	int code = file_rights_enter(&locks->rights, err);

	if (code < 0)
		return code;
	saved_state_begin(&out, lock->driver->name);
	for (i = 0; i < locks->n && code == 0; i++)
		code = image_append(&locks->images[i], &locks->owner, &out, err);
	file_rights_leave(&locks->rights);
	if (code < 0)
		return code;
	text = str_take(&out);
	if (!text)
		return error_set(err, -ENOMEM, "no memory for the lock state");
	*ret = text;
	return 0;
}

/* What arming it again writes in all its places: one more than any of them knew. */
static uint64_t next_generation(const struct saved_entry *entry)
{
	uint64_t highest = entry->generation;
	size_t i;

	for (i = 0; i < entry->n_places; i++) {
		if (entry->places[i].generation > highest)
			highest = entry->places[i].generation;
	}
	return highest + 1;
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
		ret = place_observe(image, &image->places[i], owner, &now);
		if (ret < 0)
			return error_set(err, ret, "read the record of %s: %s",
				image->places[i].path, strerror(-ret));
		if (!record_is_kept(&saved, &now, owner, next_generation(entry)))
			return image_stale(image, &now, err);
	}
	return 0;
}

static int image_compare(const struct file_image *image, const struct saved_entry *saved,
	const struct lock_owner *owner, struct error *err)
{
	struct stamp stamp;
	int ret;

	if (saved->hold != SAVED_LOCKED || !image_is_comparable(image))
		return 0;
	ret = places_compare(image, saved, owner, err);
	if (ret != 0 || !saved->stamp.ino || !file_image_has_stamp(image))
		return ret;
	ret = stamp_take(image->places[0].life, &stamp);
	if (ret < 0)
		return error_set(
			err, ret, "read the state of %s: %s", image->resource.path, strerror(-ret));
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
