/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/public.h"

/*
 * A string that grows. It starts as all zeroes; once an append has failed for
 * lack of memory it stays failed and str_take() says so, so that only the end
 * of a chain of appends needs a check.
 */
struct str {
	char *text; /* NUL-terminated once anything was appended, else NULL */
	size_t len;
	size_t size;
	bool failed;
};

_public_ void str_finish(struct str *str);
_public_ void str_append(struct str *str, const char *text);

/* Make room for that many bytes more; appends do it themselves, in smaller steps. */
bool str_reserve(struct str *str, size_t more);
void str_append_bytes(struct str *str, const char *bytes, size_t len);
_public_ void str_printf(struct str *str, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/* Give the text to the caller, who frees it; NULL if memory ran out on the way. */
_public_ char *str_take(struct str *str);

/*
 * Control characters, DEL and bytes that are no part of valid UTF-8 as \xNN,
 * the backslash as \\: what may be shown on a terminal. Cut at the buffer's end.
 * Returns @out.
 */
_public_ const char *str_printable(const char *text, char *out, size_t size);

/*
 * As vsnprintf(); but what is too long is left out in the middle, for "...": a
 * sentence has its subject in front and its reason at the end, and a long path
 * between them. Only if memory runs out the end is cut.
 */
void str_format_short(char *out, size_t size, const char *fmt, va_list args)
	__attribute__((format(printf, 3, 0)));

bool str_starts(const char *text, const char *prefix);
bool str_equal(const char *a, const char *b); /* NULL equals only NULL */

/* The whole of @text as a number in base 10; returns 0, -EINVAL or -ERANGE. */
int str_to_u64(const char *text, uint64_t *ret);

/* A growing array of strings, terminated by NULL: argv. All zeroes is empty. */
struct strv {
	char **items;
	size_t n;
	size_t size;
};

void strv_finish(struct strv *v);
int strv_add(struct strv *v, const char *text); /* copies; 0 or -ENOMEM */
bool strv_has(const struct strv *v, const char *text);
