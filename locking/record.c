/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/record.h"

#include <errno.h>
#include <limits.h>

#include "locking/word.h"

#define USUAL_SIZE 320 /* one allocation instead of four */

static void key_append(struct str *out, const char *key, const char *text)
{
	str_append(out, key);
	word_append(out, text);
}

static void key_append_u64(struct str *out, const char *key, uint64_t value)
{
	str_append(out, key);
	word_append_u64(out, value);
}

void record_to_text(const struct record *record, struct str *out)
{
	const struct lock_owner *owner = &record->owner;

	str_reserve(out, USUAL_SIZE);
	key_append_u64(out, "vmlatch 1 gen=", record->generation);
	if (record->parts)
		key_append_u64(out, " parts=", record->parts);
	key_append_u64(out, " id=", record->id.dev);
	key_append_u64(out, ":", record->id.ino);
	key_append_u64(out, " held=", record->held);
	key_append_u64(out, " since=", record->since);
	key_append_u64(out, " pid=", owner->pid);
	key_append_u64(out, " start=", owner->start_time);
	str_append(out, " instance=");
	word_append_uuid(out, owner->instance);
	str_append(out, " boot=");
	word_append_uuid(out, owner->boot_id);
	key_append(out, " host=", owner->host);
	key_append(out, " vm=", owner->vm);
}

static int cut_u64(struct word *rest, const char *key, uint64_t max, uint64_t *ret)
{
	struct word word;

	return word_cut_key(rest, key, &word) ? word_to_u64(&word, max, ret) : -EINVAL;
}

static int cut_uuid(struct word *rest, const char *key, char ret[static UUID_SIZE])
{
	struct word word;

	return word_cut_key(rest, key, &word) ? word_to_uuid(&word, ret) : -EINVAL;
}

static int cut_name(struct word *rest, const char *key, char ret[static LOCK_NAME_SIZE])
{
	struct word word;

	return word_cut_key(rest, key, &word) ? word_decode(&word, ret, LOCK_NAME_SIZE) : -EINVAL;
}

static int cut_identity(struct word *rest, struct resource_identity *ret)
{
	struct word word, dev;

	if (!word_cut_key(rest, "id", &word) || !word_cut(&word, ':', &dev))
		return -EINVAL;
	if (word_to_u64(&dev, UINT64_MAX, &ret->dev) < 0)
		return -EINVAL;
	return word_to_u64(&word, UINT64_MAX, &ret->ino);
}

static int cut_owner(struct word *rest, struct lock_owner *ret)
{
	uint64_t pid;

	if (cut_u64(rest, "pid", INT_MAX, &pid) < 0 ||
		cut_u64(rest, "start", UINT64_MAX, &ret->start_time) < 0 ||
		cut_uuid(rest, "instance", ret->instance) < 0 ||
		cut_uuid(rest, "boot", ret->boot_id) < 0 || cut_name(rest, "host", ret->host) < 0)
		return -EINVAL;
	ret->pid = pid;
	return cut_name(rest, "vm", ret->vm);
}

/* Only a whole disk's has them. */
static int cut_parts(struct word *rest, uint64_t *ret)
{
	struct word there = *rest, word;

	if (!word_cut_key(&there, "parts", &word))
		return 0;
	*rest = there;
	return word_to_u64(&word, INT64_MAX, ret);
}

int record_from_text(const char *text, size_t len, struct record *ret)
{
	struct word rest = { text, len }, word;
	struct record record = { 0 };
	uint64_t held, since;

	if (len > RECORD_TEXT_MAX || !word_cut(&rest, ' ', &word) || !word_equal(&word, "vmlatch"))
		return -EINVAL;
	if (!word_cut(&rest, ' ', &word) || !word_equal(&word, "1"))
		return -EINVAL;
	if (cut_u64(&rest, "gen", INT64_MAX, &record.generation) < 0 || !record.generation)
		return -EINVAL;
	if (cut_parts(&rest, &record.parts) < 0)
		return -EINVAL;
	if (cut_identity(&rest, &record.id) < 0 || cut_u64(&rest, "held", 1, &held) < 0 ||
		cut_u64(&rest, "since", INT64_MAX, &since) < 0 ||
		cut_owner(&rest, &record.owner) < 0 || rest.len)
		return -EINVAL;
	record.held = held;
	record.since = since;
	*ret = record;
	return 0;
}
