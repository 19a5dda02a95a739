/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include <jansson.h>

/*
 * C strings in JSON. A file's name may have any bytes, JSON only UTF-8: what is
 * none becomes KEY (for people, bytes as \xNN) and KEY-hex (exact).
 */

/* 0 or -ENOMEM. A NULL @text adds nothing. */
int json_text_set(json_t *object, const char *key, const char *text);

/*
 * @ret	the caller's; NULL where there is no such member
 *
 * Returns 0, -ENOMEM, or -EINVAL: no string, or no hex.
 */
int json_text_get(const json_t *object, const char *key, char **ret);

/* As compact text on one line, whole; the caller's. NULL: no memory. */
char *json_text_dump(const json_t *value);
