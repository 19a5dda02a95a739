/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/config.h"

/* A sink that writes "key=value|" one after the other. */
static int note(void *data, const char *key, const char *value, struct error *err)
{
	(void)err;
	str_printf(data, "%s=%s|", key, value);
	return 0;
}

static int parse(const char *text, size_t len, struct str *seen, struct error *err)
{
	const struct config_sink sink = { note, seen };

	return config_parse(
		&(struct config_text){ .name = "a.conf", .text = text, .len = len }, &sink, err);
}

static void keys_and_values_are_read(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "a=1", "a=1|" },
		{ "a = 1\nb: 2\n", "a=1|b=2|" },
		{ "# c\n; c\n\n[vmlatch]\na = x y\r\n", "a=x y|" },
		{ "  a = 1\n\t b = 2\n", "a=1|b=2|" }, /* indented: a key, no continuation */
		{ "a = x;y\n", "a=x;y|" },
		{ "a = x#y\n", "a=x#y|" },
		{ "a =\n", "a=|" },
		{ "a = b = c\n", "a=b = c|" },
		{ "\xef\xbb\xbf"
		  "a = 1\n",
			"a=1|" },
		{ "  # comment = 1\n", "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(str_finish) struct str seen = { 0 };
		struct error err = { 0 };

		assert_int_equal(parse(rows[i][0], strlen(rows[i][0]), &seen, &err), 0);
		assert_string_equal(seen.text ? seen.text : "", rows[i][1]);
	}
}

static void what_cannot_be_meant_is_an_error_with_file_and_line(void **state)
{
	static const char *const rows[][2] = {
		{ "a = 1\nnonsense\n", "a.conf:2: this is neither KEY = VALUE nor a comment" },
		{ "a = 1 ; note\n", "a.conf:1: a comment needs a line of its own" },
		{ "a = 1\t; note\n", "a.conf:1: a comment needs a line of its own" },
		{ "\n\n[other]\n", "a.conf:3: the only section is [vmlatch]" },
		{ "[vmlatch\n", "a.conf:1: the only section is [vmlatch]" },
		{ "a = 1\na = 1\n", "a.conf:2: 'a' is set a second time" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(str_finish) struct str seen = { 0 };
		struct error err = { 0 };

		assert_true(parse(rows[i][0], strlen(rows[i][0]), &seen, &err) < 0);
		assert_string_equal(err.text, rows[i][1]);
		assert_int_equal(err.status, EX_CONFIG);
	}
}

static void an_overlong_line_never_becomes_two_keys(void **state)
{
	_cleanup_(str_finish) struct str text = { 0 };
	_cleanup_(str_finish) struct str seen = { 0 };
	struct error err = { 0 };
	int i;

	(void)state;
	str_append(&text, "b = 1\na = ");
	for (i = 0; i < 20000; i++)
		str_append(&text, "x=1 ");
	assert_true(parse(text.text, text.len, &seen, &err) < 0);
	assert_string_equal(err.text, "a.conf:2: the line is too long");
	assert_string_equal(seen.text, "b=1|");
}

static void a_nul_byte_is_no_text(void **state)
{
	static const char text[] = "a = 1\nb = \0 2\n";
	_cleanup_(str_finish) struct str seen = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_true(parse(text, sizeof(text) - 1, &seen, &err) < 0);
	assert_string_equal(err.text, "a.conf:2: a NUL byte is no text");
}

static int refuse(void *data, const char *key, const char *value, struct error *err)
{
	(void)key;
	(void)value;
	(*(int *)data)++;
	return error_set(err, -ERANGE, "no");
}

static void nothing_is_read_behind_the_first_error(void **state)
{
	const struct config_text config = { "a.conf", "x = 1\ny = 2\nz = 3\n", 18 };
	int calls = 0;
	const struct config_sink sink = { refuse, &calls };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(config_parse(&config, &sink, &err), -ERANGE);
	assert_int_equal(calls, 1);
	assert_string_equal(err.text, "a.conf:1: no");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(keys_and_values_are_read),
		cmocka_unit_test(what_cannot_be_meant_is_an_error_with_file_and_line),
		cmocka_unit_test(an_overlong_line_never_becomes_two_keys),
		cmocka_unit_test(a_nul_byte_is_no_text),
		cmocka_unit_test(nothing_is_read_behind_the_first_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
