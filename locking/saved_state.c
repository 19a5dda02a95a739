/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/saved_state.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "locking/saved_state_text.h"
#include "locking/word.h"

const char *const saved_hold_names[SAVED_N_HOLDS] = {
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
	str_append(out, "/" SAVED_VERSION);
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
	str_printf(out, " " SAVED_PLACE_MARK "%s,%u,%" PRIu64 ",", place->kind, place->use,
		place->parts);
	seen_append(out, &place->id, place->generation, place->instance);
	word_append(out, place->path);
}

void saved_state_append(struct str *out, const struct saved_entry *entry)
{
	const struct resource *resource = &entry->resource;
	size_t i;

	str_printf(out, " %s,%s,%s,", resource_kind_name(resource->kind),
		resource_mode_name(resource->mode), saved_hold_names[entry->hold]);
	seen_append(out, &resource->id, entry->generation, entry->instance);
	stamp_append(out, &entry->stamp);
	word_append(out, resource->path);
	for (i = 0; i < entry->n_places; i++)
		place_append(out, &entry->places[i]);
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

/* All lock files of the one in the other, whatever has been seen of them. */
static bool entry_has_places(const struct saved_entry *entry, const struct saved_entry *now)
{
	size_t i, k;

	for (i = 0; i < now->n_places; i++) {
		for (k = 0; k < entry->n_places; k++) {
			if (str_equal(entry->places[k].path, now->places[i].path))
				break;
		}
		if (k == entry->n_places)
			return false;
	}
	return true;
}

static bool state_covers(const struct saved_state *state, const struct saved_state *now)
{
	const struct saved_entry *entry;
	size_t i;

	for (i = 0; i < now->n; i++) {
		entry = saved_state_find(state, &now->entries[i].resource);
		if (!entry || entry->hold == SAVED_FREE ||
			!entry_has_places(entry, &now->entries[i]))
			return false;
	}
	return state->n == now->n;
}

int saved_state_covers(const char *text, const char *now, struct error *err)
{
	_cleanup_(saved_state_finish) struct saved_state then = { 0 }, held = { 0 };
	int code = saved_state_from_text(text, NULL, &then, err);

	if (code == 0)
		code = saved_state_from_text(now, NULL, &held, err);
	return code < 0 ? code : state_covers(&then, &held);
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

const struct saved_entry *saved_state_find_named(
	const struct saved_state *state, const struct resource *like)
{
	const struct saved_entry *entry = saved_state_find(state, like);
	struct resource named = *like;

	named.id.ino = 0;
	return entry ? entry : saved_state_find(state, &named);
}

static void place_restore(struct saved_place *place, const struct saved_entry *before)
{
	char *path = place->path;
	size_t i;

	for (i = 0; i < before->n_places; i++) {
		if (!str_equal(before->places[i].path, path))
			continue;
		*place = before->places[i];
		place->path = path;
		return;
	}
}

/* Which file it is stays as it is now: so the stamp tells that it is another one. */
static void entry_restore(struct saved_entry *entry, const struct saved_entry *before)
{
	size_t i;

	entry->generation = before->generation;
	memcpy(entry->instance, before->instance, sizeof(entry->instance));
	entry->stamp = before->stamp;
	for (i = 0; i < entry->n_places; i++)
		place_restore(&entry->places[i], before);
}

int saved_state_as_before(const char *text, const char *before, char **ret)
{
	_cleanup_(saved_state_finish) struct saved_state state = { 0 }, then = { 0 };
	_cleanup_(str_finish) struct str out = { 0 };
	int code = saved_state_from_text(text, NULL, &state, NULL);
	const struct saved_entry *entry;
	char *changed;
	size_t i;

	if (code == 0)
		code = saved_state_from_text(before, NULL, &then, NULL);
	if (code < 0)
		return code;
	saved_state_begin(&out, state.driver);
	for (i = 0; i < state.n; i++) {
		entry = saved_state_find_named(&then, &state.entries[i].resource);
		if (entry && entry->hold == SAVED_LOCKED)
			entry_restore(&state.entries[i], entry);
		saved_state_append(&out, &state.entries[i]);
	}
	changed = str_take(&out);
	if (!changed)
		return -ENOMEM;
	*ret = changed;
	return 0;
}
