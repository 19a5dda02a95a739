/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/str.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

void str_finish(struct str *str)
{
	free(str->text);
	*str = (struct str){ 0 };
}

bool str_reserve(struct str *str, size_t more)
{
	size_t size = str->size ? str->size : 64;
	char *grown;

	if (str->failed)
		return false;
	if (str->len + more + 1 <= str->size)
		return true;
	while (size < str->len + more + 1)
		size *= 2;
	grown = realloc(str->text, size);
	if (!grown) {
		str->failed = true;
		return false;
	}
	str->text = grown;
	str->size = size;
	return true;
}

void str_append_bytes(struct str *str, const char *bytes, size_t len)
{
	if (!str_reserve(str, len))
		return;
	if (len)
		memcpy(str->text + str->len, bytes, len);
	str->len += len;
	str->text[str->len] = '\0';
}

void str_append(struct str *str, const char *text)
{
	str_append_bytes(str, text, strlen(text));
}

void str_printf(struct str *str, const char *fmt, ...)
{
	va_list args, again;
	int n;

	va_start(args, fmt);
	va_copy(again, args);
	n = vsnprintf(NULL, 0, fmt, args);
	va_end(args);
	if (n >= 0 && str_reserve(str, n)) {
		vsnprintf(str->text + str->len, n + 1, fmt, again);
		str->len += n;
	} else {
		str->failed = true;
	}
	va_end(again);
}

char *str_take(struct str *str)
{
	str_append(str, "");
	if (str->failed) {
		str_finish(str);
		return NULL;
	}
	str->len = str->size = 0;
	return take_ptr(str->text);
}

/* Characters that end a line, or have what follows shown in another order. */
static bool moves_text(uint32_t code)
{
	return code == 0x061c || code == 0x200e || code == 0x200f ||
	       (code >= 0x2028 && code <= 0x202e) || (code >= 0x2066 && code <= 0x2069);
}

/* The length of the UTF-8 sequence at @s, 0 if there is none that may be shown. */
static size_t utf8_length(const unsigned char *s)
{
	uint32_t code;
	size_t n, i;

	if (s[0] < 0x80)
		return 1;
	n = s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
	if (s[0] < 0xc2 || s[0] > 0xf4)
		return 0;
	code = s[0] & (0xff >> (n + 1));
	for (i = 1; i < n; i++) {
		if ((s[i] & 0xc0) != 0x80)
			return 0;
		code = code << 6 | (s[i] & 0x3f);
	}
	if ((n == 3 && code < 0x800) || (n == 4 && code < 0x10000))
		return 0;
	if (code > 0x10ffff || (code >= 0xd800 && code < 0xe000))
		return 0;
	if (code < 0xa0 || moves_text(code)) /* C1 control characters move terminals too */
		return 0;
	return n;
}

/* ASCII that stands for itself: nearly all that there ever is. */
static bool is_plain(unsigned char c)
{
	return c >= 0x20 && c < 0x7f && c != '\\';
}

/* What is shown for the first character; returns how many bytes of @text that was. */
static size_t piece_make(const char *text, char piece[static 8])
{
	const unsigned char *s = (const unsigned char *)text;
	size_t n = utf8_length(s);

	if (s[0] == '\\') {
		snprintf(piece, 8, "\\\\");
	} else if (!n || s[0] < 0x20 || s[0] == 0x7f) {
		n = 1;
		snprintf(piece, 8, "\\x%02x", s[0]);
	} else {
		memcpy(piece, text, n);
		piece[n] = '\0';
	}
	return n;
}

const char *str_printable(const char *text, char *out, size_t size)
{
	size_t used = 0, taken;
	char piece[8];

	for (;;) {
		while (used + 1 < size && is_plain(*text))
			out[used++] = *text++;
		if (!*text)
			break;
		taken = piece_make(text, piece);
		if (used + strlen(piece) + 1 > size)
			break;
		memcpy(out + used, piece, strlen(piece));
		used += strlen(piece);
		text += taken;
	}
	if (size)
		out[used] = '\0';
	return out;
}

/* How many bytes (0 to 3) of a character that has begun earlier come first here? */
static size_t rest_of_character(const char *text)
{
	size_t n = 0;

	while (n < 3 && ((unsigned char)text[n] & 0xc0) == 0x80)
		n++;
	return n;
}

static void copy_without_middle(char *out, size_t size, const char *whole, size_t len)
{
	size_t head = (size - sizeof("...")) / 2, tail = len - (size - sizeof("...") - head);

	while (head && rest_of_character(whole + head))
		head--;
	tail += rest_of_character(whole + tail);
	snprintf(out, size, "%.*s...%s", (int)head, whole, whole + tail);
}

void str_format_short(char *out, size_t size, const char *fmt, va_list args)
{
	_cleanup_(freep) char *whole = NULL;
	va_list again;
	int n;

	va_copy(again, args);
	n = vsnprintf(out, size, fmt, args);
	if (n >= 0 && (size_t)n >= size && vasprintf(&whole, fmt, again) >= 0)
		copy_without_middle(out, size, whole, n);
	va_end(again);
}

bool str_starts(const char *text, const char *prefix)
{
	return strncmp(text, prefix, strlen(prefix)) == 0;
}

bool str_equal(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

int str_to_u64(const char *text, uint64_t *ret)
{
	uint64_t value = 0;

	if (!*text)
		return -EINVAL;
	for (; *text; text++) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		if (__builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, (uint64_t)(*text - '0'), &value))
			return -ERANGE;
	}
	*ret = value;
	return 0;
}

void strv_finish(struct strv *v)
{
	size_t i;

	for (i = 0; i < v->n; i++)
		free(v->items[i]);
	free(v->items);
	*v = (struct strv){ 0 };
}

int strv_add(struct strv *v, const char *text)
{
	if (v->n + 2 > v->size) {
		size_t size = v->size ? v->size * 2 : 16;
		char **grown = reallocarray(v->items, size, sizeof(*grown));

		if (!grown)
			return -ENOMEM;
		v->items = grown;
		v->size = size;
	}
	v->items[v->n] = strdup(text);
	if (!v->items[v->n])
		return -ENOMEM;
	v->items[++v->n] = NULL;
	return 0;
}

bool strv_has(const struct strv *v, const char *text)
{
	size_t i;

	for (i = 0; i < v->n; i++) {
		if (strcmp(v->items[i], text) == 0)
			return true;
	}
	return false;
}
