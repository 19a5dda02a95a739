/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "locking/file_locks.h"
#include "locking/saved_state.h"

/* The state as text: what each resource and its places are like now. */

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
	bool comparable = file_image_is_comparable(image);
	struct record record = { 0 };
	size_t i;
	int ret = 0;

	if (comparable && file_image_has_stamp(image))
		ret = stamp_take(image->places[0].life, &entry->stamp);
	for (i = 0; i < image->n_places && ret == 0; i++) {
		const struct file_place *place = &image->places[i];

		if (comparable)
			ret = file_place_read_record(place, owner, &record);
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
