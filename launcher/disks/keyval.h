/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>

#include "base/error.h"

/*
 * QEMU's two spellings of options, "a=b,c.d=e" and JSON, in one form: a tree of
 * objects. Lists are objects too, with the keys "0", "1", ...; text may hold any
 * bytes but NUL (file names are not always UTF-8).
 */

/* How deep options may nest; QEMU's own are never deeper than a dozen. */
#define KEYVAL_DEPTH_MAX 64

/*
 * "a=b,c,,d" as QEMU's QemuOpts reads it: ",," is a comma in a value; a word
 * without '=' is "word=on" ("noword" is "word=off"); the last of two counts, but
 * of two "id" the first.
 *
 * @implied	the key of a first word without '='; NULL: there is none
 * @ret		one flat object, in which a dot is part of the key
 *
 * Returns 0 or -ENOMEM.
 */
int keyval_parse(const char *text, const char *implied, json_t **ret);

/* QEMU's JSON (single quotes are allowed) of one object. 0, -EINVAL with a sentence, -ENOMEM. */
int keyval_parse_json(const char *text, json_t **ret, struct error *err);

/*
 * Dotted keys become objects in objects, at every level; lists become objects.
 * Where there are none, @ret is @flat itself, with one reference more.
 *
 * Returns 0, -EINVAL with a sentence (a key is both a value and a group, or too
 * deep) or -ENOMEM.
 */
int keyval_nest(const json_t *flat, json_t **ret, struct error *err);

/* The text of a member, NULL if it is not there or no text. */
const char *keyval_text(const json_t *object, const char *key);

/* A JSON boolean, or on/off, yes/no, true/false, y/n; else @fallback. */
bool keyval_bool(const json_t *object, const char *key, bool fallback);

int keyval_set_text(json_t *object, const char *key, const char *text); /* 0 or -ENOMEM */

/* json_decref for _cleanup_() */
static inline void keyval_freep(json_t **object)
{
	json_decref(*object);
}
