/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/str.h"

/*
 * The text form that records and saved states share: words of printable ASCII.
 * Whatever else a name contains (spaces, control characters, bytes over 0x7e)
 * is written as \xNN, the backslash too; the empty name is "-". Reading trusts
 * nothing: these texts come from files that others can write.
 */

/* Append a name as one word. */
void word_append(struct str *out, const char *text);

/* Append a number, or a UUID ("": none); cheaper than the general forms. */
void word_append_u64(struct str *out, uint64_t value);
void word_append_uuid(struct str *out, const char *uuid);

/* A piece of text that is read from its front. */
struct word {
	const char *text;
	size_t len;
};

/*
 * Cut the part before the first @delimiter off @rest (all of it, if there is
 * none). Returns false if @rest was empty.
 */
bool word_cut(struct word *rest, char delimiter, struct word *ret);

/* Cut "KEY=value" and a space off @rest: the value. Returns false if the key is another. */
bool word_cut_key(struct word *rest, const char *key, struct word *ret);

bool word_equal(const struct word *word, const char *text);

/* What word_append() wrote. 0 or -EINVAL (no such word, or longer than @size allows). */
int word_decode(const struct word *word, char *ret, size_t size);

/* All of it, in base 10, at most @max. 0 or -EINVAL. */
int word_to_u64(const struct word *word, uint64_t max, uint64_t *ret);

/* A UUID in lower case, or "-": none. 0 or -EINVAL. */
int word_to_uuid(const struct word *word, char ret[static 37]);
