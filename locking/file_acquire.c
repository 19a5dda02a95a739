/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "locking/file_device.h"
#include "locking/file_locks.h"
#include "locking/holder.h"
#include "locking/holder_process.h"
#include "locking/lock_conflict.h"

/*
 * All or nothing: open what is not open yet, so that identities are known; find
 * names of one file; lock in canonical order. What one attempt has opened and
 * taken is marked, and undone when it fails.
 */

#define ATTEMPTS_AT_A_FILE 5 /* that keeps being replaced under our hands */
#define RETRY_MS           10
#define TAKING_MS          200
#define LEAVING_MS         2000

static void marks_clear(struct file_locks *locks)
{
	size_t i;

	for (i = 0; i < locks->n; i++)
		file_image_begin(&locks->images[i]);
}

static int images_open(struct file_locks *locks, struct error *err)
{
	size_t i;
	int ret;

	for (i = 0; i < locks->n; i++) {
		struct file_image *image = &locks->images[i];

		if (file_image_is_open(image) || image->held || image->skipped)
			continue;
		image->id_before = image->resource.id;
		ret = file_image_open(image, err);
		if (ret < 0)
			return ret;
		image->opened_now = true;
	}
	return 0;
}

/* Its lock files, now that it is known what it is. */
static int image_prepare(struct file_locks *locks, struct file_image *image, struct error *err)
{
	size_t known = image->n_places;
	int ret;

	if (image->skipped)
		return 0;
	if (file_image_is_device(image) && image->opened_now) {
		ret = file_device_check_unused(image, err);
		if (ret < 0)
			return ret;
	}
	ret = file_spaces_derive(&locks->spaces, image, err);
	/* it has been renamed: of the lock file of its new name QEMU has no description */
	image->reopened |= image->n_places > known && !image->opened_now;
	if (ret == 0)
		ret = file_image_open_places(image, err);
	return ret == 0 && locks->adopted ? file_locks_watch(locks, image, err) : ret;
}

static int images_take(struct file_locks *locks, struct file_image **busy, struct error *err)
{
	size_t i;
	int ret;

	for (i = 0; i < locks->n; i++) {
		struct file_image *image = &locks->images[i];

		if (file_image_is_complete(image) || image->duplicate)
			continue;
		ret = image_prepare(locks, image, err);
		if (ret == 0)
			ret = file_image_take(image, err);
		if (ret == LOCK_BUSY)
			ret = file_locks_judge_busy(locks, image, err);
		image->taken_now = ret == 0;
		if (ret == 0 && file_image_is_device(image) && !image->n_held_before)
			ret = file_device_check_claim(image, err);
		if (ret != 0) {
			*busy = image;
			return ret;
		}
	}
	return 0;
}

static void images_untake(struct file_locks *locks)
{
	size_t i;

	for (i = 0; i < locks->n; i++) {
		if (locks->images[i].taken_now)
			file_image_untake(&locks->images[i]);
	}
}

/* What this attempt found is found anew by the next: the names may change meanwhile. */
static void images_close(struct file_locks *locks)
{
	size_t i;

	for (i = 0; i < locks->n; i++) {
		struct file_image *image = &locks->images[i];

		file_image_forget(image);
		if (!image->opened_now)
			continue;
		file_image_close(image);
		image->resource.id = image->id_before;
		image->skipped = image->opened_now = false;
	}
}

/* Returns 0, LOCK_BUSY (@busy still open), FILE_PLACE_REPLACED or -errno. */
static int images_attempt(struct file_locks *locks, struct file_image **busy, struct error *err)
{
	int ret;

	marks_clear(locks);
	ret = images_open(locks, err);
	if (ret == 0)
		ret = file_locks_join_names(locks, err);
	if (ret >= 0)
		ret = images_take(locks, busy, err);
	if (ret == 0)
		file_locks_remove_duplicates(locks);
	else
		images_untake(locks);
	if (ret != 0 && ret != LOCK_BUSY)
		images_close(locks);
	return ret;
}

static int images_attempt_as_qemu(
	struct file_locks *locks, struct file_image **busy, struct error *err)
{
	int left = ATTEMPTS_AT_A_FILE, ret;

	ret = file_rights_enter(&locks->rights, err);
	if (ret < 0)
		return ret;
	do {
		ret = images_attempt(locks, busy, err);
	} while (ret == FILE_PLACE_REPLACED && --left);
	file_rights_leave(&locks->rights);
	if (ret != FILE_PLACE_REPLACED)
		return ret;
	return error_set(err, -EAGAIN,
		"%s is replaced by another file again and again while it is being locked",
		(*busy)->resource.path);
}

/* How long a refusal waits for a better answer. */
static int64_t verdict_patience_ms(int verdict)
{
	switch (verdict) {
	case HOLDER_NOBODY:
	case HOLDER_DEAD:
		return LEAVING_MS;
	case HOLDER_TAKING:
		return TAKING_MS;
	default:
		return 0;
	}
}

/* Fill @conflict. Returns how many milliseconds of patience the holder deserves. */
static int64_t conflict_fill(
	struct file_locks *locks, const struct file_image *busy, struct lock_conflict *conflict)
{
	int verdict;

	/* state files know a disk by what it is, whichever of its places is locked; ours, too */
	*conflict = (struct lock_conflict){ .id = busy->places[busy->busy_place].id };
	if (busy->resource.kind == RESOURCE_DISK && !busy->n_held_before)
		conflict->id = busy->resource.id;
	snprintf(conflict->path, sizeof(conflict->path), "%s", busy->resource.path);
	file_rights_enter(&locks->rights, NULL);
	verdict = file_locks_find_holder(locks, busy, &conflict->holder);
	file_rights_leave(&locks->rights);
	return verdict_patience_ms(verdict);
}

/* What is locked, as long as it is known: images may be closed again by now. */
struct obstacle {
	struct resource_identity id;
	enum resource_mode mode;
};

static int conflict_report(
	struct lock_conflict *conflict, const struct obstacle *obstacle, struct error *err)
{
	char text[sizeof(err->text)];

	if (conflict->holder.source == LOCK_HOLDER_UNKNOWN)
		holder_scan(&obstacle->id, obstacle->mode, &conflict->holder);
	error_set(err, LOCK_BUSY, "%s", lock_conflict_sentence(conflict, text, sizeof(text)));
	return error_status(err, LOCK_BUSY, 75);
}

int file_driver_acquire(
	struct lock *lock, unsigned flags, struct lock_conflict *conflict, struct error *err)
{
	struct file_locks *locks = file_locks_of(lock);
	int64_t began = clock_monotonic_ms(), patience_ms;
	struct file_image *busy = NULL;
	struct obstacle obstacle = { 0 };
	int ret;

	if (flags & LOCK_REGISTER_ONLY)
		return 0;
	for (;;) {
		ret = images_attempt_as_qemu(locks, &busy, err);
		if (ret != LOCK_BUSY)
			return ret;
		obstacle.id = busy->places[busy->busy_place].id;
		obstacle.mode = busy->resource.mode;
		patience_ms = conflict ? conflict_fill(locks, busy, conflict) : 0;
		if (!conflict)
			error_set(err, LOCK_BUSY, "%s is in use", busy->resource.path);
		images_close(locks);
		if (clock_monotonic_ms() - began >= patience_ms)
			break;
		clock_sleep_ms(RETRY_MS);
	}
	return conflict ? conflict_report(conflict, &obstacle, err) : ret;
}
