/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/word.h"

#include <errno.h>
#include <string.h>

static const char hex_digits[] = "0123456789abcdef";

static bool is_plain(char c)
{
	return c > 0x20 && c < 0x7f && c != '\\';
}

static void byte_append(struct str *out, unsigned char byte)
{
	const char escaped[4] = { '\\', 'x', hex_digits[byte >> 4], hex_digits[byte & 15] };

	str_append_bytes(out, escaped, sizeof(escaped));
}

void word_append(struct str *out, const char *text)
{
	size_t plain;

	if (!*text)
		str_append_bytes(out, "-", 1);
	if (text[0] == '-' && !text[1])
		byte_append(out, *text++);
	while (*text) {
		for (plain = 0; is_plain(text[plain]); plain++)
			;
		str_append_bytes(out, text, plain);
		text += plain;
		if (*text)
			byte_append(out, *text++);
	}
}

void word_append_u64(struct str *out, uint64_t value)
{
	char digits[20];
	size_t at = sizeof(digits);

	do {
		digits[--at] = '0' + value % 10;
		value /= 10;
	} while (value);
	str_append_bytes(out, digits + at, sizeof(digits) - at);
}

void word_append_uuid(struct str *out, const char *uuid)
{
	str_append(out, *uuid ? uuid : "-");
}

bool word_cut(struct word *rest, char delimiter, struct word *ret)
{
	const char *end;

	if (!rest->len)
		return false;
	end = memchr(rest->text, delimiter, rest->len);
	ret->text = rest->text;
	ret->len = end ? (size_t)(end - rest->text) : rest->len;
	rest->text += ret->len + !!end;
	rest->len -= ret->len + !!end;
	return true;
}

bool word_cut_key(struct word *rest, const char *key, struct word *ret)
{
	size_t len = strlen(key);

	if (!word_cut(rest, ' ', ret) || ret->len <= len || memcmp(ret->text, key, len) != 0 ||
		ret->text[len] != '=')
		return false;
	ret->text += len + 1;
	ret->len -= len + 1;
	return true;
}

bool word_equal(const struct word *word, const char *text)
{
	return word->len == strlen(text) && memcmp(word->text, text, word->len) == 0;
}

/* The byte that \xNN at @at stands for, 0 if it is no such thing (it never is NUL). */
static unsigned char escape_decode(const char *at, size_t left)
{
	const char *high, *low;

	if (left < 4 || at[0] != '\\' || at[1] != 'x' || !at[2] || !at[3])
		return 0;
	high = strchr(hex_digits, at[2]);
	low = strchr(hex_digits, at[3]);
	return high && low ? (high - hex_digits) << 4 | (low - hex_digits) : 0;
}

int word_decode(const struct word *word, char *ret, size_t size)
{
	size_t at = 0, used = 0;

	if (!word->len)
		return -EINVAL;
	if (word_equal(word, "-")) {
		*ret = '\0';
		return 0;
	}
	while (at < word->len) {
		bool plain = is_plain(word->text[at]);
		char byte = plain ? word->text[at] : escape_decode(word->text + at, word->len - at);

		if (!byte || used + 1 >= size)
			return -EINVAL;
		ret[used++] = byte;
		at += plain ? 1 : 4;
	}
	ret[used] = '\0';
	return 0;
}

int word_to_u64(const struct word *word, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	size_t i;

	if (!word->len || word->len > 20)
		return -EINVAL;
	for (i = 0; i < word->len; i++) {
		unsigned digit = (unsigned char)word->text[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
			__builtin_add_overflow(value, digit, &value))
			return -EINVAL;
	}
	if (value > max)
		return -EINVAL;
	*ret = value;
	return 0;
}

static bool is_uuid_letter(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'f') || c == '-';
}

int word_to_uuid(const struct word *word, char ret[static 37])
{
	size_t i;

	if (word_equal(word, "-")) {
		ret[0] = '\0';
		return 0;
	}
	if (word->len != 36)
		return -EINVAL;
	for (i = 0; i < word->len; i++) {
		if (!is_uuid_letter(word->text[i]))
			return -EINVAL;
	}
	memcpy(ret, word->text, 36);
	ret[36] = '\0';
	return 0;
}
