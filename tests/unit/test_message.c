/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "qmp/command.h"
#include "qmp/dialect.h"
#include "qmp/message.h"

static void the_dialect_becomes_json(void **state)
{
	static const char *const pairs[][2] = {
		{ "{\"a\": 1}", "{\"a\": 1}" },
		{ "{'a': 'b'}", "{\"a\": \"b\"}" },
		{ "{'a': 'say \"x\"'}", "{\"a\": \"say \\\"x\\\"\"}" },
		{ "{'a': 'it\\'s'}", "{\"a\": \"it's\"}" },
		{ "{\"a\": \"it\\'s\"}", "{\"a\": \"it's\"}" },
		{ "{\"a\": \"it's\"}", "{\"a\": \"it's\"}" },
		{ "{'a\\\\': 1}", "{\"a\\\\\": 1}" },
		{ "{'a\\\"': 1}", "{\"a\\\"\": 1}" },
		{ "[9223372036854775807]", "[9223372036854775807]" },
		{ "[9223372036854775808]", "[9223372036854775808e0]" },
		{ "[18446744073709551615,1]", "[18446744073709551615e0,1]" },
		{ "[-9223372036854775808]", "[-9223372036854775808]" },
		{ "[-9223372036854775809]", "[-9223372036854775809e0]" },
		{ "[9223372036854775808.5]", "[9223372036854775808.5]" },
		{ "[\"18446744073709551615\"]", "[\"18446744073709551615\"]" },
		{ "[inf,-inf,nan,-nan,info]", "[null,null,null,null,info]" },
		{ "[true,false,null]", "[true,false,null]" },
		{ "{\r\n\"a\":\n1}", "{  \"a\": 1}" },
		{ "{'a", "{\"a" },
		{ "'\\", "\"\\" },
		{ "", "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++) {
		size_t len = strlen(pairs[i][0]);
		char *bytes = memcpy(malloc(len + 1), pairs[i][0], len);
		struct str out = { 0 };

		dialect_to_json(bytes, len, &out);
		str_append(&out, "");
		assert_string_equal(out.text, pairs[i][1]);
		str_finish(&out);
		free(bytes);
	}
}

static void a_big_number_harms_no_other_number(void **state)
{
	const char *reply = "{\"return\":{\"max\":18446744073709551615,\"n\":42,\"r\":1.5}}";
	json_t *tree = NULL, *value;
	struct error err;

	(void)state;
	assert_int_equal(message_parse(reply, strlen(reply), &tree, &err), 0);
	value = json_object_get(tree, "return");
	assert_true(json_is_integer(json_object_get(value, "n")));
	assert_int_equal(json_integer_value(json_object_get(value, "n")), 42);
	assert_true(json_real_value(json_object_get(value, "max")) > 1.8e19);
	json_decref(tree);
}

static void what_is_wrong_is_refused_with_a_sentence(void **state)
{
	static const struct {
		const char *bytes;
		size_t len;
		const char *words;
	} cases[] = {
		{ "{", 1, "JSON parse error" },
		{ "{\"a\":1,\"a\":2}", 13, "duplicate" },
		{ "{'a':1,\"a\":2}", 13, "duplicate" },
		{ "{\"a\":\"\xff\"}", 9, "JSON parse error" },
		{ "{\"a\":\"\\u0000\"}", 14, "JSON parse error" },
		{ "{\"a\":\"x\0y\"}", 11, "JSON parse error" },
		{ "{\"a\":1\0}", 8, "a NUL byte" },
		{ "{\"a\":1e999}", 11, "JSON parse error" },
		{ "{\"a\":tru}", 9, "JSON parse error" },
		{ "{\"a\":1} {}", 10, "JSON parse error" },
		{ "{\"a\":01}", 8, "JSON parse error" },
		{ "{\"\x1b[2J", 6, "JSON parse error" },
	};
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		json_t *tree = NULL;
		struct error err;

		assert_int_equal(message_parse(cases[i].bytes, cases[i].len, &tree, &err), -EINVAL);
		assert_null(tree);
		assert_non_null(strstr(err.text, cases[i].words));
		for (j = 0; err.text[j]; j++)
			assert_true(err.text[j] >= ' ');
	}
}

static void check_text(struct str *text, const char *expected)
{
	assert_false(text->failed);
	assert_string_equal(text->text, expected);
	str_finish(text);
}

static void messages_are_one_line_each(void **state)
{
	json_t *arguments = json_pack("{s:s}", "fdname", "a\nb");
	struct str text = { 0 };

	(void)state;
	message_command(&text, "getfd", arguments);
	check_text(&text, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"a\\nb\"}}\r\n");
	message_command(&text, "stop", NULL);
	check_text(&text, "{\"execute\":\"stop\"}\r\n");
	message_return(&text, arguments, "1.50");
	check_text(&text, "{\"return\":{\"fdname\":\"a\\nb\"},\"id\":1.50}\r\n");
	message_error(&text, QMP_CLASS_GENERIC, "no \"such\" thing", NULL);
	check_text(&text,
		"{\"error\":{\"class\":\"GenericError\",\"desc\":\"no \\\"such\\\" thing\"}}\r\n");
	message_error(&text, QMP_CLASS_GENERIC, "open \xff: no", "[]");
	check_text(&text, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"open \\\\xff: no\"},"
			  "\"id\":[]}\r\n");
	json_decref(arguments);
}

static void an_event_has_the_time(void **state)
{
	json_t *data = json_pack("{s:b}", "guest", 0), *tree = NULL, *timestamp;
	struct str text = { 0 };
	struct error err;

	(void)state;
	message_event(&text, "SHUTDOWN", data);
	assert_int_equal(message_parse(text.text, text.len, &tree, &err), 0);
	assert_string_equal(json_string_value(json_object_get(tree, "event")), "SHUTDOWN");
	assert_true(json_equal(json_object_get(tree, "data"), data));
	timestamp = json_object_get(tree, "timestamp");
	assert_true(json_integer_value(json_object_get(timestamp, "seconds")) > 1700000000);
	assert_true(json_integer_value(json_object_get(timestamp, "microseconds")) < 1000000);
	json_decref(tree);
	json_decref(data);
	str_finish(&text);
}

static void a_greeting_has_what_clients_look_for(void **state)
{
	json_t *tree = NULL, *qmp, *version;
	struct str text = { 0 };
	struct error err;

	(void)state;
	message_greeting(&text, (struct message_version){ 7, 2, 22 });
	assert_int_equal(message_parse(text.text, text.len, &tree, &err), 0);
	qmp = json_object_get(tree, "QMP");
	assert_true(json_is_array(json_object_get(qmp, "capabilities")));
	version = json_object_get(qmp, "version");
	assert_non_null(strstr(json_string_value(json_object_get(version, "package")), "vmlatch"));
	assert_true(json_is_object(json_object_get(version, "vmlatch")));
	version = json_object_get(version, "qemu");
	assert_int_equal(json_integer_value(json_object_get(version, "major")), 7);
	assert_int_equal(json_integer_value(json_object_get(version, "minor")), 2);
	assert_int_equal(json_integer_value(json_object_get(version, "micro")), 22);
	json_decref(tree);
	str_finish(&text);
}

static void commands_are_understood(void **state)
{
	static const struct {
		const char *bytes;
		const char *name; /* NULL: refused */
		const char *id;
		const char *words;
	} cases[] = {
		{ "{\"execute\":\"stop\"}", "stop", NULL, NULL },
		{ "{'execute':'stop','id':'x'}", "stop", "\"x\"", NULL },
		{ "{\"execute\":\"stop\",\"id\":1.50}", "stop", "1.50", NULL },
		{ "{\"execute\":\"stop\",\"id\":null}", "stop", "null", NULL },
		{ "{\"execute\":\"stop\",\"id\":18446744073709551615}", "stop",
			"18446744073709551615", NULL },
		{ "{\"execute\":\"stop\",\"id\":{\"a\":\n[1,  2]}}", "stop", "{\"a\": [1,  2]}",
			NULL },
		{ "{\"execute\":\"stop\",\"\\u0069d\":\"\\u00e9\"}", "stop", "\"\\u00e9\"", NULL },
		{ "{\"execute\":\"stop\",\"id\":inf}", "stop", "null", NULL },
		{ "{\"execute\":\"stop\",\"arguments\":{}}", "stop", NULL, NULL },
		{ "{\"execute\":\"stop\",\"id\":1,\"id\":2}", NULL, NULL, "duplicate" },
		{ "{\"execute\":7,\"id\":3}", NULL, "3", "'execute' must be a string" },
		{ "{\"id\":3}", NULL, "3", "lacks member 'execute'" },
		{ "{\"execute\":\"stop\",\"arguments\":[],\"id\":3}", NULL, "3",
			"'arguments' must be an object" },
		{ "{\"execute\":\"stop\",\"arguments\":null}", NULL, NULL,
			"'arguments' must be an object" },
		{ "{\"execute\":\"stop\",\"foo\":1}", NULL, NULL, "'foo' is unexpected" },
		{ "{\"exec-oob\":\"stop\"}", NULL, NULL, "'exec-oob' is unexpected" },
		{ "{\"execute\":\"stop\",\"\\u001b[2J\":1}", NULL, NULL, "'\\x1b[2J' is" },
		{ "[]", NULL, NULL, "must be a JSON object" },
		{ "{\"execute\":\"stop\"", NULL, NULL, "JSON parse error" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct command command;
		struct error err = { 0 };
		int r = command_parse(cases[i].bytes, strlen(cases[i].bytes), &command, &err);

		assert_int_equal(r, cases[i].name ? 0 : -EINVAL);
		if (cases[i].name) {
			assert_string_equal(command.name, cases[i].name);
			assert_int_equal(json_object_size(command.arguments), 0);
		} else {
			assert_non_null(strstr(err.text, cases[i].words));
		}
		assert_int_equal(command.id != NULL, cases[i].id != NULL);
		if (command.id)
			assert_string_equal(command.id, cases[i].id);
		command_finish(&command);
	}
}

static void capabilities_are_negotiated_once_and_first(void **state)
{
	static const struct {
		const char *bytes;
		bool negotiated;
		const char *class; /* NULL: may pass */
	} cases[] = {
		{ "{\"execute\":\"stop\"}", false, QMP_CLASS_COMMAND_NOT_FOUND },
		{ "{\"execute\":\"stop\"}", true, NULL },
		{ "{\"execute\":\"qmp_capabilities\"}", false, NULL },
		{ "{\"execute\":\"qmp_capabilities\"}", true, QMP_CLASS_COMMAND_NOT_FOUND },
		{ "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[]}}", false, NULL },
		{ "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":[\"oob\"]}}", false,
			QMP_CLASS_GENERIC },
		{ "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"enable\":1}}", false,
			QMP_CLASS_GENERIC },
		{ "{\"execute\":\"qmp_capabilities\",\"arguments\":{\"x\":1}}", false,
			QMP_CLASS_GENERIC },
		{ "{\"execute\":\"stop\",\"arguments\":{\"enable\":1}}", true, NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const char *words, *class = "";
		struct command command;
		struct error err;

		assert_int_equal(
			command_parse(cases[i].bytes, strlen(cases[i].bytes), &command, &err), 0);
		words = command_refuse(&command, cases[i].negotiated, &class);
		assert_int_equal(words != NULL, cases[i].class != NULL);
		if (words)
			assert_string_equal(class, cases[i].class);
		command_finish(&command);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_dialect_becomes_json),
		cmocka_unit_test(a_big_number_harms_no_other_number),
		cmocka_unit_test(what_is_wrong_is_refused_with_a_sentence),
		cmocka_unit_test(messages_are_one_line_each),
		cmocka_unit_test(an_event_has_the_time),
		cmocka_unit_test(a_greeting_has_what_clients_look_for),
		cmocka_unit_test(commands_are_understood),
		cmocka_unit_test(capabilities_are_negotiated_once_and_first),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
