/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/disks/keyval.h"

static char *dumped(const json_t *object)
{
	return json_dumps(object, JSON_COMPACT | JSON_ENCODE_ANY);
}

static void options_are_read_as_qemu_reads_them(void **state)
{
	static const struct {
		const char *text, *implied, *json;
	} rows[] = {
		{ "", NULL, "{}" },
		{ "a=b", NULL, "{\"a\":\"b\"}" },
		{ "a=b,c=d", NULL, "{\"a\":\"b\",\"c\":\"d\"}" },
		{ "a=b,,c", NULL, "{\"a\":\"b,c\"}" },
		{ "a=,,", NULL, "{\"a\":\",\"}" },
		{ "a=,,,b=c", NULL, "{\"a\":\",\",\"b\":\"c\"}" },
		{ "a=,b=", NULL, "{\"a\":\"\",\"b\":\"\"}" },
		{ "a=b=c", NULL, "{\"a\":\"b=c\"}" },
		{ "a=1,a=2", NULL, "{\"a\":\"2\"}" },
		{ "readonly", NULL, "{\"readonly\":\"on\"}" },
		{ "nosnapshot", NULL, "{\"snapshot\":\"off\"}" },
		{ "no", NULL, "{\"no\":\"on\"}" },
		{ "virtio-blk,drive=d", "driver", "{\"driver\":\"virtio-blk\",\"drive\":\"d\"}" },
		{ "a,,b,c=d", "first", "{\"first\":\"a,b\",\"c\":\"d\"}" },
		{ "x=y,z", "first", "{\"x\":\"y\",\"z\":\"on\"}" },
		{ "file.filename=a", NULL, "{\"file.filename\":\"a\"}" },
		{ "a=b,", NULL, "{\"a\":\"b\"}" },
		{ ",", NULL, "{\"\":\"on\"}" },
		{ "=x", NULL, "{\"\":\"x\"}" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(keyval_freep) json_t *object = NULL;
		_cleanup_(freep) char *json = NULL;

		assert_int_equal(keyval_parse(rows[i].text, rows[i].implied, &object), 0);
		json = dumped(object);
		assert_string_equal(json, rows[i].json);
	}
}

static void dots_and_lists_become_groups(void **state)
{
	static const char *const rows[][2] = {
		{ "{\"a.b\":\"x\",\"a.c.d\":\"y\"}", "{\"a\":{\"b\":\"x\",\"c\":{\"d\":\"y\"}}}" },
		{ "{\"a\":{\"b\":\"x\"},\"a.c\":\"y\"}", "{\"a\":{\"b\":\"x\",\"c\":\"y\"}}" },
		{ "{\"a.c\":\"y\",\"a\":{\"b.d\":\"x\"}}",
			"{\"a\":{\"c\":\"y\",\"b\":{\"d\":\"x\"}}}" },
		{ "{\"l\":[\"x\",{\"a.b\":\"y\"}]}",
			"{\"l\":{\"0\":\"x\",\"1\":{\"a\":{\"b\":\"y\"}}}}" },
		{ "{\"n\":null,\"t\":true}", "{\"n\":null,\"t\":true}" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(keyval_freep) json_t *flat = json_loads(rows[i][0], 0, NULL);
		_cleanup_(keyval_freep) json_t *nested = NULL;
		_cleanup_(freep) char *json = NULL;

		assert_non_null(flat);
		assert_int_equal(keyval_nest(flat, &nested, NULL), 0);
		json = dumped(nested);
		assert_string_equal(json, rows[i][1]);
	}
}

static void what_has_none_of_them_is_not_copied(void **state)
{
	_cleanup_(keyval_freep) json_t *flat = json_pack("{s:s, s:b}", "a", "x", "b", true);
	_cleanup_(keyval_freep) json_t *nested = NULL;

	(void)state;
	assert_int_equal(keyval_nest(flat, &nested, NULL), 0);
	assert_ptr_equal(nested, flat);
}

static void a_value_that_is_a_group_too_is_refused(void **state)
{
	static const char *const rows[] = {
		"{\"a\":\"x\",\"a.b\":\"y\"}",
		"{\"a.b\":\"y\",\"a\":\"x\"}",
		"{\"a\":{\"b\":\"x\"},\"a.b\":\"y\"}",
		"{\"a.b\":\"x\",\"a\":{\"b\":{}}}",
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(keyval_freep) json_t *flat = json_loads(rows[i], 0, NULL);
		json_t *nested = NULL;
		struct error err = { 0 };

		assert_int_equal(keyval_nest(flat, &nested, &err), -EINVAL);
		assert_null(nested);
		assert_true(strlen(err.text) > 0);
	}
}

/* "PIECE" times @n, with @last behind it. */
static char *repeated(const char *piece, size_t n, const char *last)
{
	struct str text = { 0 };

	while (n-- > 0)
		str_append(&text, piece);
	str_append(&text, last);
	return str_take(&text);
}

static void nesting_without_end_is_refused(void **state)
{
	_cleanup_(freep) char *fits = repeated("a.", KEYVAL_DEPTH_MAX, "b=c");
	_cleanup_(freep) char *too_deep = repeated("a.", KEYVAL_DEPTH_MAX + 1, "b=c");
	_cleanup_(freep) char *brackets = repeated("[", 500, "");
	_cleanup_(keyval_freep) json_t *a = NULL, *b = NULL, *c = NULL, *list = NULL;
	struct str json = { 0 };
	size_t i;

	(void)state;
	assert_int_equal(keyval_parse(fits, NULL, &a), 0);
	assert_int_equal(keyval_nest(a, &c, NULL), 0);
	json_decref(a);
	assert_int_equal(keyval_parse(too_deep, NULL, &a), 0);
	assert_int_equal(keyval_nest(a, &b, NULL), -EINVAL);
	str_printf(&json, "{\"a\":%s", brackets);
	for (i = 0; i < 500; i++)
		str_append(&json, "]");
	str_append(&json, "}");
	assert_int_equal(keyval_parse_json(json.text, &list, NULL), 0);
	assert_int_equal(keyval_nest(list, &b, NULL), -EINVAL);
	str_finish(&json);
}

static void json_may_have_single_quotes(void **state)
{
	static const char *const rows[][2] = {
		{ "{'a':'b'}", "{\"a\":\"b\"}" },
		{ "{\"a\":'it\\'s \"so\"'}", "{\"a\":\"it's \\\"so\\\"\"}" },
		{ "{\"a\":\"it's\"}", "{\"a\":\"it's\"}" },
		{ "{\"a\":\"it\\'s\"}", "{\"a\":\"it's\"}" },
		{ "{'a':'back\\\\slash\\n'}", "{\"a\":\"back\\\\slash\\n\"}" },
		{ " { 'a' : true } ", "{\"a\":true}" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(keyval_freep) json_t *object = NULL;
		_cleanup_(freep) char *json = NULL;

		assert_int_equal(keyval_parse_json(rows[i][0], &object, NULL), 0);
		json = dumped(object);
		assert_string_equal(json, rows[i][1]);
	}
}

static void json_with_qemus_large_numbers_is_understood(void **state)
{
	_cleanup_(keyval_freep) json_t *object = NULL;

	(void)state;
	assert_int_equal(
		keyval_parse_json("{\"size\":18446744073709551615,\"a\":\"b\"}", &object, NULL), 0);
	assert_string_equal(keyval_text(object, "a"), "b");
}

static void json_that_is_none_is_refused_with_a_sentence(void **state)
{
	static const char *const rows[] = { "", "{", "[]", "\"a\"", "{\"a\":\"b\",\"a\":\"c\"}",
		"{\"a\":\"b\"} x", "{'a\":1}", "{\"a\":\"\\u0000\"}", "{\"a\":\"\xff\"}", "{'a'" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		json_t *object = NULL;
		struct error err = { 0 };

		assert_int_equal(keyval_parse_json(rows[i], &object, &err), -EINVAL);
		assert_null(object);
		assert_true(strlen(err.text) > 0);
	}
}

static void a_name_may_hold_any_bytes(void **state)
{
	_cleanup_(keyval_freep) json_t *object = NULL, *nested = NULL;

	(void)state;
	assert_int_equal(keyval_parse("file=\xff\xfe,\x80=x", NULL, &object), 0);
	assert_int_equal(keyval_nest(object, &nested, NULL), 0);
	assert_string_equal(keyval_text(nested, "file"), "\xff\xfe");
	assert_string_equal(keyval_text(nested, "\x80"), "x");
}

static void yes_and_no_have_many_names(void **state)
{
	static const struct {
		const char *json;
		bool value;
	} rows[] = {
		{ "{\"a\":true}", true },
		{ "{\"a\":false}", false },
		{ "{\"a\":\"on\"}", true },
		{ "{\"a\":\"off\"}", false },
		{ "{\"a\":\"yes\"}", true },
		{ "{\"a\":\"no\"}", false },
		{ "{\"a\":\"y\"}", true },
		{ "{\"a\":\"n\"}", false },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(keyval_freep) json_t *object = json_loads(rows[i].json, 0, NULL);

		assert_int_equal(keyval_bool(object, "a", !rows[i].value), rows[i].value);
		assert_true(keyval_bool(object, "b", true));
		assert_false(keyval_bool(object, "b", false));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_are_read_as_qemu_reads_them),
		cmocka_unit_test(dots_and_lists_become_groups),
		cmocka_unit_test(what_has_none_of_them_is_not_copied),
		cmocka_unit_test(a_value_that_is_a_group_too_is_refused),
		cmocka_unit_test(nesting_without_end_is_refused),
		cmocka_unit_test(json_may_have_single_quotes),
		cmocka_unit_test(json_with_qemus_large_numbers_is_understood),
		cmocka_unit_test(json_that_is_none_is_refused_with_a_sentence),
		cmocka_unit_test(a_name_may_hold_any_bytes),
		cmocka_unit_test(yes_and_no_have_many_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
