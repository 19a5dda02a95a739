/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "locking/saved_state.h"
#include "locking/saved_state_text.h"
#include "locking/word.h"

/* Text to struct. Nothing in it is trusted. */

/* The index of @word's name, or -1. */
static int name_decode(const struct word *word, int (*from_name)(const char *name))
{
	char name[16];

	return word_decode(word, name, sizeof(name)) == 0 ? from_name(name) : -1;
}

static int hold_from_name(const char *name)
{
	int i;

	for (i = 0; i < SAVED_N_HOLDS; i++) {
		if (str_equal(name, saved_hold_names[i]))
			return i;
	}
	return -1;
}

static int identity_decode(struct word *word, struct resource_identity *ret)
{
	struct word dev;

	if (!word_cut(word, ':', &dev) || word_to_u64(&dev, UINT64_MAX, &ret->dev) < 0)
		return -EINVAL;
	return word_to_u64(word, UINT64_MAX, &ret->ino);
}

static int stamp_decode(struct word *word, uint64_t ino, struct stamp *ret)
{
	struct word size, seconds;
	uint64_t number[3];
	bool negative;

	if (word_equal(word, "-"))
		return 0;
	if (!ino || !word_cut(word, '@', &size) || !word_cut(word, '.', &seconds))
		return -EINVAL;
	negative = seconds.len && seconds.text[0] == '-';
	seconds.text += negative;
	seconds.len -= negative;
	if (word_to_u64(&size, INT64_MAX, &number[0]) < 0 ||
		word_to_u64(&seconds, INT64_MAX, &number[1]) < 0 || word->len != 9 ||
		word_to_u64(word, 999999999, &number[2]) < 0)
		return -EINVAL;
	*ret = (struct stamp){
		.ino = ino,
		.size = number[0],
		.mtime_s = negative ? -(int64_t)number[1] : (int64_t)number[1],
		.mtime_ns = number[2],
	};
	return 0;
}

enum { KIND, MODE, HOLD, IDENTITY, GENERATION, INSTANCE, STAMP, N_FIELDS };

static int fields_decode(struct word fields[static N_FIELDS], struct saved_entry *ret)
{
	int kind = name_decode(&fields[KIND], resource_kind_from_name);
	int mode = name_decode(&fields[MODE], resource_mode_from_name);
	int hold = name_decode(&fields[HOLD], hold_from_name);

	if (kind < 0 || mode < 0 || hold < 0)
		return -EINVAL;
	ret->resource.kind = kind;
	ret->resource.mode = mode;
	ret->hold = hold;
	if (identity_decode(&fields[IDENTITY], &ret->resource.id) < 0 ||
		word_to_u64(&fields[GENERATION], INT64_MAX, &ret->generation) < 0 ||
		word_to_uuid(&fields[INSTANCE], ret->instance) < 0)
		return -EINVAL;
	return stamp_decode(&fields[STAMP], ret->resource.id.ino, &ret->stamp);
}

static int fields_cut(struct word *word, struct word *fields, int n)
{
	int i;

	for (i = 0; i < n; i++) {
		if (!word_cut(word, ',', &fields[i]))
			return -EINVAL;
	}
	return 0;
}

/* What is left of a word is a path; the caller's. */
static int path_decode(const struct word *word, char **ret)
{
	char path[PATH_MAX], *copy;

	if (word_decode(word, path, sizeof(path)) < 0 || !*path)
		return -EINVAL;
	copy = strdup(path);
	if (!copy)
		return -ENOMEM;
	*ret = copy;
	return 0;
}

static int entry_decode(struct word *word, struct saved_entry *ret)
{
	struct saved_entry entry = { 0 };
	struct word fields[N_FIELDS];
	int code;

	if (fields_cut(word, fields, N_FIELDS) < 0 || fields_decode(fields, &entry) < 0)
		return -EINVAL;
	code = path_decode(word, &entry.resource.path);
	if (code == 0)
		*ret = entry;
	return code;
}

enum {
	PLACE_KIND,
	PLACE_USE,
	PLACE_PARTS,
	PLACE_IDENTITY,
	PLACE_GENERATION,
	PLACE_INSTANCE,
	PLACE_N_FIELDS
};

static int place_decode(struct word *word, struct saved_place *ret)
{
	struct saved_place place = { 0 };
	struct word fields[PLACE_N_FIELDS];
	uint64_t use;
	int code;

	word->text += strlen(SAVED_PLACE_MARK);
	word->len -= strlen(SAVED_PLACE_MARK);
	if (fields_cut(word, fields, PLACE_N_FIELDS) < 0 ||
		word_decode(&fields[PLACE_KIND], place.kind, sizeof(place.kind)) < 0 ||
		word_to_u64(&fields[PLACE_USE], UINT8_MAX, &use) < 0 ||
		word_to_u64(&fields[PLACE_PARTS], INT64_MAX, &place.parts) < 0 ||
		identity_decode(&fields[PLACE_IDENTITY], &place.id) < 0 ||
		word_to_u64(&fields[PLACE_GENERATION], INT64_MAX, &place.generation) < 0 ||
		word_to_uuid(&fields[PLACE_INSTANCE], place.instance) < 0)
		return -EINVAL;
	place.use = use;
	code = path_decode(word, &place.path);
	if (code == 0)
		*ret = place;
	return code;
}

static int place_add(struct word *word, struct saved_entry *entry)
{
	struct saved_place *grown =
		reallocarray(entry->places, entry->n_places + 1, sizeof(*grown));
	int code;

	if (!grown)
		return -ENOMEM;
	entry->places = grown;
	code = place_decode(word, &grown[entry->n_places]);
	entry->n_places += code == 0;
	return code;
}

static int head_decode(struct word *rest, struct saved_state *ret)
{
	struct word head, driver;

	if (rest->len > SAVED_STATE_TEXT_MAX || !word_cut(rest, ' ', &head) ||
		!word_cut(&head, '/', &driver) || !word_equal(&head, SAVED_VERSION))
		return -EINVAL;
	if (word_decode(&driver, ret->driver, sizeof(ret->driver)) < 0 || !*ret->driver)
		return -EINVAL;
	return ret->driver[strspn(ret->driver, LOCK_DRIVER_LETTERS)] ? -EINVAL : 0;
}

static int entries_decode(struct word *rest, struct saved_state *ret)
{
	struct word word;
	size_t size = 0;
	int err;

	while (word_cut(rest, ' ', &word)) {
		if (word.len && word.text[0] == SAVED_PLACE_MARK[0]) {
			err = ret->n ? place_add(&word, &ret->entries[ret->n - 1]) : -EINVAL;
			if (err < 0)
				return err;
			continue;
		}
		if (ret->n == size) {
			struct saved_entry *grown;

			size = size ? size * 2 : 8;
			grown = reallocarray(ret->entries, size, sizeof(*grown));
			if (!grown)
				return -ENOMEM;
			ret->entries = grown;
		}
		err = entry_decode(&word, &ret->entries[ret->n]);
		if (err < 0)
			return err;
		ret->n++;
	}
	return 0;
}

int saved_state_from_text(
	const char *text, const char *driver, struct saved_state *ret, struct error *err)
{
	_cleanup_(saved_state_finish) struct saved_state state = { 0 };
	struct word rest = { text, strlen(text) };
	int code = head_decode(&rest, &state);

	if (code == 0)
		code = entries_decode(&rest, &state);
	if (code == -ENOMEM)
		return error_set(err, code, "no memory for the saved lock state");
	if (code < 0)
		return error_set(err, code, "the saved lock state cannot be read: '%.80s'", text);
	if (driver && !str_equal(driver, state.driver))
		return error_set(err, -EINVAL,
			"the saved lock state is of driver '%s', not of '%s'", state.driver,
			driver);
	*ret = state;
	state = (struct saved_state){ 0 };
	return 0;
}
