/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/saved_state.h"

#include <errno.h>
#include <inttypes.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "locking/word.h"

#define VERSION        "1"
#define PLACE_MARK     "+"
#define DRIVER_LETTERS "abcdefghijklmnopqrstuvwxyz0123456789_-"

static const char *const hold_names[] = {
	[SAVED_FREE] = "free",
	[SAVED_LOCKED] = "locked",
	[SAVED_SKIPPED] = "skipped",
};

void saved_entry_finish(struct saved_entry *entry)
{
	while (entry->n_places)
		free(entry->places[--entry->n_places].path);
	free(entry->places);
	resource_finish(&entry->resource);
}

void saved_state_finish(struct saved_state *state)
{
	size_t i;

	for (i = 0; i < state->n; i++)
		saved_entry_finish(&state->entries[i]);
	free(state->entries);
	*state = (struct saved_state){ 0 };
}

void saved_state_begin(struct str *out, const char *driver)
{
	str_append(out, driver);
	str_append(out, "/" VERSION);
}

static void stamp_append(struct str *out, const struct stamp *stamp)
{
	if (!stamp->ino) {
		str_append(out, "-,");
		return;
	}
	word_append_u64(out, stamp->size);
	str_append(out, "@");
	if (stamp->mtime_s < 0)
		str_append(out, "-");
	word_append_u64(out, stamp->mtime_s < 0 ? -(uint64_t)stamp->mtime_s : stamp->mtime_s);
	str_printf(out, ".%09u,", (unsigned)stamp->mtime_ns);
}

static void seen_append(struct str *out, const struct resource_identity *id, uint64_t generation,
	const char *instance)
{
	word_append_u64(out, id->dev);
	str_append(out, ":");
	word_append_u64(out, id->ino);
	str_append(out, ",");
	word_append_u64(out, generation);
	str_append(out, ",");
	word_append_uuid(out, instance);
	str_append(out, ",");
}

static void place_append(struct str *out, const struct saved_place *place)
{
	str_printf(out, " " PLACE_MARK "%s,%u,%" PRIu64 ",", place->kind, place->use, place->parts);
	seen_append(out, &place->id, place->generation, place->instance);
	word_append(out, place->path);
}

void saved_state_append(struct str *out, const struct saved_entry *entry)
{
	const struct resource *resource = &entry->resource;
	size_t i;

	str_printf(out, " %s,%s,%s,", resource_kind_name(resource->kind),
		resource_mode_name(resource->mode), hold_names[entry->hold]);
	seen_append(out, &resource->id, entry->generation, entry->instance);
	stamp_append(out, &entry->stamp);
	word_append(out, resource->path);
	for (i = 0; i < entry->n_places; i++)
		place_append(out, &entry->places[i]);
}

/* The index of @word's name, or -1. */
static int name_decode(const struct word *word, int (*from_name)(const char *name))
{
	char name[16];

	return word_decode(word, name, sizeof(name)) == 0 ? from_name(name) : -1;
}

static int hold_from_name(const char *name)
{
	int i;

	for (i = 0; i < (int)(sizeof(hold_names) / sizeof(hold_names[0])); i++) {
		if (str_equal(name, hold_names[i]))
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

	word->text += strlen(PLACE_MARK);
	word->len -= strlen(PLACE_MARK);
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
		!word_cut(&head, '/', &driver) || !word_equal(&head, VERSION))
		return -EINVAL;
	if (word_decode(&driver, ret->driver, sizeof(ret->driver)) < 0 || !*ret->driver)
		return -EINVAL;
	return ret->driver[strspn(ret->driver, DRIVER_LETTERS)] ? -EINVAL : 0;
}

static int entries_decode(struct word *rest, struct saved_state *ret)
{
	struct word word;
	size_t size = 0;
	int err;

	while (word_cut(rest, ' ', &word)) {
		if (word.len && word.text[0] == PLACE_MARK[0]) {
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

const struct saved_entry *saved_state_find(
	const struct saved_state *state, const struct resource *like)
{
	size_t i;

	for (i = 0; i < state->n; i++) {
		if (resource_is_same(&state->entries[i].resource, like))
			return &state->entries[i];
	}
	return NULL;
}

int saved_state_is_of(const char *text, const struct resource_set *resources, struct error *err)
{
	_cleanup_(saved_state_finish) struct saved_state state = { 0 };
	const struct saved_entry *entry;
	size_t i;
	int code = saved_state_from_text(text, NULL, &state, err);

	if (code < 0)
		return code;
	for (i = 0; i < resources->n; i++) {
		entry = saved_state_find(&state, &resources->items[i]);
		if (!entry || entry->hold == SAVED_FREE)
			return 0;
	}
	return state.n == resources->n;
}

int saved_state_without(const char *text, const struct resource *like, char **ret)
{
	_cleanup_(saved_state_finish) struct saved_state state = { 0 };
	_cleanup_(str_finish) struct str out = { 0 };
	char *changed;
	size_t i;
	int code = saved_state_from_text(text, NULL, &state, NULL);

	if (code < 0)
		return code;
	saved_state_begin(&out, state.driver);
	for (i = 0; i < state.n; i++) {
		if (!resource_is_same(&state.entries[i].resource, like))
			saved_state_append(&out, &state.entries[i]);
	}
	changed = str_take(&out);
	if (!changed)
		return -ENOMEM;
	*ret = changed;
	return 0;
}
