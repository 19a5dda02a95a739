/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/dialect.h"

#include <string.h>

/* 2^63 - 1 has 19 digits, and so does 2^63. */
static const char BIGGEST[] = "9223372036854775807";
static const char SMALLEST[] = "9223372036854775808";

bool dialect_has_quotes(const char *bytes, size_t len)
{
	return memchr(bytes, '\'', len);
}

static bool is_word_char(char c)
{
	return (c >= '0' && c <= '9') || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       c == '+' || c == '-' || c == '.' || c == '_';
}

static bool word_is(const char *word, size_t len, const char *text)
{
	return strlen(text) == len && memcmp(word, text, len) == 0;
}

static bool is_no_number(const char *word, size_t len)
{
	return word_is(word, len, "inf") || word_is(word, len, "-inf") ||
	       word_is(word, len, "nan") || word_is(word, len, "-nan");
}

static bool is_big_integer(const char *word, size_t len)
{
	bool negative = len && *word == '-';
	const char *digits = word + negative;
	size_t n = len - negative, i;

	for (i = 0; i < n; i++) {
		if (digits[i] < '0' || digits[i] > '9')
			return false;
	}
	if (n != sizeof(BIGGEST) - 1)
		return n >= sizeof(BIGGEST);
	return memcmp(digits, negative ? SMALLEST : BIGGEST, n) > 0;
}

static size_t take_word(const char *bytes, size_t len, struct str *out)
{
	size_t n = 0;

	while (n < len && is_word_char(bytes[n]))
		n++;
	if (is_no_number(bytes, n)) {
		str_append(out, "null");
		return n;
	}
	str_append_bytes(out, bytes, n);
	if (is_big_integer(bytes, n))
		str_append(out, "e0");
	return n;
}

/* A run that needs no change is appended at once; @c is what stands for what follows it. */
static size_t take_string(const char *bytes, size_t len, struct str *out)
{
	char quote = bytes[0];
	size_t i = 1, run = 1;

	str_append(out, "\"");
	while (i < len && bytes[i] != quote) {
		size_t n = bytes[i] == '\\' && i + 1 < len ? 2 : 1;
		bool quoted = n == 2 && bytes[i + 1] == '\'';

		if (quoted || bytes[i] == '"') {
			str_append_bytes(out, bytes + run, i - run);
			str_append(out, quoted ? "'" : "\\\"");
			run = i + n;
		}
		i += n;
	}
	str_append_bytes(out, bytes + run, i - run);
	if (i == len)
		return len;
	str_append(out, "\"");
	return i + 1;
}

void dialect_to_json(const char *bytes, size_t len, struct str *out)
{
	size_t i = 0;

	while (i < len) {
		char c = bytes[i];

		if (c == '"' || c == '\'') {
			i += take_string(bytes + i, len - i, out);
		} else if (is_word_char(c)) {
			i += take_word(bytes + i, len - i, out);
		} else {
			str_append_bytes(out, c == '\n' || c == '\r' ? " " : &bytes[i], 1);
			i++;
		}
	}
}
