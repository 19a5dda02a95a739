/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "server_fixture.h"

static void a_client_is_greeted_and_negotiates(void **state)
{
	struct server_test test;

	(void)state;
	begin(&test, &ops);
	qmp_server_set_version(test.server, (struct message_version){ 7, 2, 22 });
	hear_part(&test, "\"qemu\":{\"major\":7,\"minor\":2,\"micro\":22}");
	say(&test, "{\"execute\":\"now\",\"id\":1}");
	hear(&test, "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"Expecting capabilities "
		    "negotiation with 'qmp_capabilities'\"},\"id\":1}");
	say(&test, "{\"execute\":\"qmp_capabilities\",\"id\":[]}");
	hear(&test, "{\"return\":{},\"id\":[]}");
	say(&test, HELLO);
	hear_part(&test, "\"CommandNotFound\",\"desc\":\"Capabilities negotiation is already");
	assert_int_equal(test.log.len, 0);
	end(&test);
}

static void commands_reach_the_owner(void **state)
{
	struct server_test test;

	(void)state;
	begin_negotiated(&test);
	say(&test, "{\"execute\":\"now\",\"arguments\":{\"a\":[1]},\"id\":{\"x\":1.50}}");
	hear(&test, "{\"return\":{\"a\":[1]},\"id\":{\"x\":1.50}}");
	say(&test, "{'execute':'empty'}");
	hear(&test, "{\"return\":{}}");
	say(&test, "{\"execute\":\"busy\",\"id\":null}");
	hear(&test, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"disk\\\\xff is 100% "
		    "busy\"},\"id\":null}");
	say(&test, "{\"execute\":\"frob\"}");
	hear(&test, "{\"error\":{\"class\":\"CommandNotFound\",\"desc\":\"The command frob has not "
		    "been found\"}}");
	end(&test);
}

static void bad_input_is_answered_and_survived(void **state)
{
	static const struct {
		const char *bytes;
		size_t len; /* 0: strlen */
		const char *answer;
	} cases[] = {
		{ "garbage\n", 0, "does not belong there (byte " },
		{ "[{\"execute\":\"now\"}]", 0, "must be a JSON object" },
		{ "{]\n", 0, "does not belong there (byte " },
		{ "{\"execute\":\"now\",}", 0, "JSON parse error" },
		{ "{\"execute\":\"now\",\"execute\":\"now\"}", 0, "duplicate" },
		{ "{\"execute\":\"now\",\"arguments\":{\"a\":1,\"a\":1}}", 0, "duplicate" },
		{ "{\"execute\":\"no\xff", 0, "reset by a 0xff byte" },
		{ "{\"execute\":\"\xc3\x28\"}", 0, "JSON parse error" },
		{ "{\"execute\":\"now\0\"}\n", 19, "does not belong there" },
		{ "{\"execute\"\0:\"now\"}\n", 19, "does not belong there" },
		{ "{\"execute\":\"now\",\"id\":1\0}\n", 26, "does not belong there" },
		{ "\0\n", 2, "does not belong there" },
		{ "{\"execute\":\"now\",\"foo\":1}", 0, "'foo' is unexpected" },
		{ "{\"execute\":\"now\",\"arguments\":1}", 0, "must be an object" },
		{ "{}", 0, "lacks member 'execute'" },
	};
	struct server_test test;
	size_t i;

	(void)state;
	begin_negotiated(&test);
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = cases[i].len ? cases[i].len : strlen(cases[i].bytes);

		assert_true(wire_say_bytes(&test.wire, cases[i].bytes, len));
		hear_part(&test, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"");
		assert_non_null(strstr(test.wire.line.text, cases[i].answer));
	}
	assert_int_equal(test.log.len, 0);
	say(&test, "{\"execute\":\"empty\"}");
	hear(&test, "{\"return\":{}}");
	end(&test);
}

static void deep_nesting_is_refused_and_survived(void **state)
{
	struct server_test test;
	int i;

	(void)state;
	begin_negotiated(&test);
	for (i = 0; i < 5000; i++)
		say(&test, "[");
	hear_part(&test, "nested too deep");
	say(&test, "\xff");
	hear_part(&test, "reset");
	say(&test, "{\"execute\":\"empty\"}");
	hear(&test, "{\"return\":{}}");
	end(&test);
}

static void a_message_of_a_mebibyte_passes_and_a_larger_one_does_not(void **state)
{
	const char *head = "{\"execute\":\"empty\",\"id\":2,\"arguments\":{\"a\":\"";
	size_t rest = QMP_SERVER_MESSAGE_MAX - strlen(head) - 3;
	char *filler = malloc(rest + 2);
	struct server_test test;
	size_t extra;

	(void)state;
	begin_negotiated(&test);
	for (extra = 0; extra < 2; extra++) {
		memset(filler, 'x', rest + extra);
		filler[rest + extra] = '\0';
		say(&test, head);
		say(&test, filler);
		say(&test, "\"}}");
		hear_part(&test, extra ? "message too large" : "{\"return\":{},\"id\":2}");
	}
	free(filler);
	say(&test, "{\"execute\":\"empty\"}");
	hear(&test, "{\"return\":{}}");
	end(&test);
}

static void commands_of_one_client_are_answered_in_order(void **state)
{
	struct server_test test;

	(void)state;
	begin_negotiated(&test);
	say(&test, "{\"execute\":\"later\",\"id\":1}{\"execute\":\"now\",\"id\":2} bad\n"
		   "{\"execute\":\"later\",\"id\":3}{\"execute\":\"now\",\"id\":4}");
	RUN_UNTIL(&test.wire.loop, test.n_kept == 1);
	wire_idle(&test.wire);
	assert_string_equal(test.log.text, "later ");
	qmp_request_reply(test.kept[0], NULL);
	assert_string_equal(test.log.text, "later "); /* not from within */
	hear(&test, "{\"return\":{},\"id\":1}");
	hear(&test, "{\"return\":{},\"id\":2}");
	hear_part(&test, "does not belong there");
	RUN_UNTIL(&test.wire.loop, test.n_kept == 2);
	qmp_request_fail(test.kept[1], QMP_CLASS_DEVICE_NOT_FOUND, "gone");
	hear(&test, "{\"error\":{\"class\":\"DeviceNotFound\",\"desc\":\"gone\"},\"id\":3}");
	hear(&test, "{\"return\":{},\"id\":4}");
	assert_string_equal(test.log.text, "later now later now ");
	end(&test);
}

static void reading_pauses_while_a_command_is_open(void **state)
{
	struct server_test test;
	char spaces[4096];
	size_t sent = 0;
	ssize_t n;
	int i;

	(void)state;
	memset(spaces, ' ', sizeof(spaces));
	begin_negotiated(&test);
	say(&test, "{\"execute\":\"later\"}");
	RUN_UNTIL(&test.wire.loop, test.n_kept == 1);
	for (i = 0; i < 2000; i++) {
		n = send(test.wire.far, spaces, sizeof(spaces), MSG_DONTWAIT | MSG_NOSIGNAL);
		sent += n > 0 ? n : 0;
		uv_run(&test.wire.loop, UV_RUN_NOWAIT);
	}
	assert_true(n < 0);
	assert_true(sent < 1 << 20);
	qmp_request_reply(test.kept[0], NULL);
	hear(&test, "{\"return\":{}}");
	say(&test, "{\"execute\":\"empty\"}");
	hear(&test, "{\"return\":{}}");
	end(&test);
}

static void events_go_to_those_who_have_negotiated(void **state)
{
	json_t *data = json_pack("{s:s}", "state", "held");
	struct server_test test;
	int silent;

	(void)state;
	begin_negotiated(&test);
	silent = wire_connect(test.path);
	RUN_UNTIL(&test.wire.loop, qmp_server_clients(test.server) == 2);
	assert_int_equal(qmp_server_emit_event(test.server, "VMLATCH_LOCK_STATE", data), 0);
	assert_int_equal(qmp_server_emit(test.server, "{\"event\": \"STOP\"}", 17), 0);
	hear_part(&test, "\"event\":\"VMLATCH_LOCK_STATE\",\"data\":{\"state\":\"held\"}}");
	hear(&test, "{\"event\": \"STOP\"}");
	close(test.wire.far);
	test.wire.far = silent;
	hear_part(&test, "{\"QMP\":");
	say(&test, HELLO);
	hear(&test, "{\"return\":{}}");
	json_decref(data);
	end(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_is_greeted_and_negotiates),
		cmocka_unit_test(commands_reach_the_owner),
		cmocka_unit_test(bad_input_is_answered_and_survived),
		cmocka_unit_test(deep_nesting_is_refused_and_survived),
		cmocka_unit_test(a_message_of_a_mebibyte_passes_and_a_larger_one_does_not),
		cmocka_unit_test(commands_of_one_client_are_answered_in_order),
		cmocka_unit_test(reading_pauses_while_a_command_is_open),
		cmocka_unit_test(events_go_to_those_who_have_negotiated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
