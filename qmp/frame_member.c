/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/frame.h"

#include <string.h>

/* A place in a message; it never passes @end. */
struct cursor {
	const char *at;
	const char *end;
};

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static void skip_space(struct cursor *cursor)
{
	while (cursor->at < cursor->end && is_space(*cursor->at))
		cursor->at++;
}

static bool skip_byte(struct cursor *cursor, char c)
{
	skip_space(cursor);
	if (cursor->at == cursor->end || *cursor->at != c)
		return false;
	cursor->at++;
	return true;
}

static bool at_quote(const struct cursor *cursor)
{
	return cursor->at < cursor->end && (*cursor->at == '"' || *cursor->at == '\'');
}

static void skip_string(struct cursor *cursor)
{
	char quote = *cursor->at++;

	while (cursor->at < cursor->end && *cursor->at != quote) {
		if (*cursor->at == '\\' && cursor->end - cursor->at > 1)
			cursor->at++;
		cursor->at++;
	}
	if (cursor->at < cursor->end)
		cursor->at++;
}

/* Brackets of both kinds are only counted: the scanner has matched them. */
static struct frame_value skip_value(struct cursor *cursor)
{
	struct frame_value value;
	size_t depth = 0;

	skip_space(cursor);
	value.bytes = cursor->at;
	while (cursor->at < cursor->end) {
		char c = *cursor->at;

		if (at_quote(cursor)) {
			skip_string(cursor);
			continue;
		}
		if (depth == 0 && (c == ',' || c == '}' || c == ']'))
			break;
		if (c == '{' || c == '[')
			depth++;
		if (c == '}' || c == ']')
			depth--;
		cursor->at++;
	}
	value.len = cursor->at - value.bytes;
	while (value.len && is_space(value.bytes[value.len - 1]))
		value.len--;
	return value;
}

static int hex_digit(char c)
{
	const char *digits = "0123456789abcdef";
	const char *found = c ? strchr(digits, c | 0x20) : NULL;

	return found ? found - digits : -1;
}

/* One character of a key; anything but ASCII is 0, which no name has. */
static char key_char(struct cursor *key)
{
	unsigned int code = 0;
	int i;

	if (*key->at != '\\')
		return *key->at++;
	key->at++;
	if (key->at == key->end)
		return 0;
	if (*key->at != 'u')
		return *key->at++ == '/' ? '/' : 0;
	key->at++;
	for (i = 0; i < 4 && key->at < key->end; i++) {
		int digit = hex_digit(*key->at++);

		if (digit < 0)
			return 0;
		code = code << 4 | digit;
	}
	return i == 4 && code < 0x80 ? code : 0;
}

static bool key_is(struct frame_value quoted, const char *name)
{
	struct cursor key = { quoted.bytes + 1, quoted.bytes + quoted.len - 1 };

	if (quoted.len < 2)
		return false;
	while (key.at < key.end && *name) {
		if (key_char(&key) != *name++)
			return false;
	}
	return key.at == key.end && !*name;
}

struct frame_value frame_find_member(const char *bytes, size_t len, const char *name)
{
	struct cursor cursor = { bytes, bytes + len };
	struct frame_value nothing = { NULL, 0 }, key, value;

	if (!skip_byte(&cursor, '{'))
		return nothing;
	do {
		skip_space(&cursor);
		if (!at_quote(&cursor))
			return nothing;
		key.bytes = cursor.at;
		skip_string(&cursor);
		key.len = cursor.at - key.bytes;
		if (!skip_byte(&cursor, ':'))
			return nothing;
		value = skip_value(&cursor);
		if (value.len && key_is(key, name))
			return value;
	} while (skip_byte(&cursor, ','));
	return nothing;
}
