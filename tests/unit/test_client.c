/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "qmp/client.h"
#include "wire.h"

#define GREETING                                                                           \
	"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 22, \"minor\": 2, \"major\": 7}, " \
	"\"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n"

/* A client, and a log of all that it told: one word for each callback. */
struct test {
	struct wire wire;
	struct qmp_client *client;
	struct str log;
	const char *free_at; /* the callback that frees the client: "ready", "event", ... */
};

static void note(struct test *test, const char *what, const char *words)
{
	str_printf(&test->log, "%s:%s ", what, words);
	if (test->free_at && strcmp(test->free_at, what) == 0)
		qmp_client_free(take_ptr(test->client));
}

static void on_ready(void *data, json_t *greeting)
{
	assert_non_null(json_object_get(greeting, "QMP"));
	note(data, "ready", "");
}

static void on_event(void *data, const char *name, json_t *event, const char *raw, size_t raw_len)
{
	assert_string_equal(json_string_value(json_object_get(event, "event")), name);
	assert_int_equal(raw[0], '{');
	assert_int_equal(raw[raw_len - 1], '}');
	note(data, "event", name);
}

static void on_closed(void *data, const char *reason)
{
	note(data, "closed", reason);
}

static const struct qmp_client_ops ops = { on_ready, on_event, on_closed };

static void on_reply(void *data, const struct qmp_reply *reply)
{
	struct test *test = data;
	char words[256];

	assert_non_null(reply->words);
	if (reply->result == QMP_DONE) {
		char *text = json_dumps(reply->value, JSON_COMPACT | JSON_ENCODE_ANY);

		assert_non_null(text);
		snprintf(words, sizeof(words), "%s", text);
		free(text);
	} else if (reply->result == QMP_REFUSED) {
		snprintf(words, sizeof(words), "%s/%s", reply->class, reply->words);
	} else {
		snprintf(words, sizeof(words), "%s/%s", strerrorname_np(-reply->result),
			reply->words);
	}
	note(test, "reply", words);
}

static void begin(struct test *test)
{
	struct error err;

	*test = (struct test){ 0 };
	wire_open(&test->wire);
	assert_int_equal(
		qmp_client_new(&test->wire.loop, test->wire.near, &ops, test, &test->client, &err),
		0);
}

static void end(struct test *test)
{
	qmp_client_free(test->client);
	wire_close(&test->wire);
	str_finish(&test->log);
}

static void check_log(struct test *test, const char *expected)
{
	str_append(&test->log, "");
	assert_string_equal(test->log.text, expected);
	test->log.len = 0;
}

static void expect_log(struct test *test, const char *expected)
{
	RUN_UNTIL(&test->wire.loop, test->log.len >= strlen(expected));
	check_log(test, expected);
}

static void hear(struct test *test, const char *expected)
{
	const char *line = wire_hear(&test->wire);

	assert_non_null(line);
	assert_string_equal(line, expected);
}

static void negotiate(struct test *test)
{
	assert_true(wire_say(&test->wire, GREETING));
	hear(test, "{\"execute\":\"qmp_capabilities\"}");
	assert_true(wire_say(&test->wire, "{\"return\": {}}\r\n"));
	expect_log(test, "ready: ");
}

static int call(struct test *test, const char *command, uint64_t timeout_ms)
{
	return qmp_client_call(
		test->client, command, NULL, &(struct qmp_call){ on_reply, test, timeout_ms, -1 });
}

static void the_client_negotiates_by_itself(void **state)
{
	struct test test;

	(void)state;
	begin(&test);
	assert_int_equal(call(&test, "stop", 0), -ENOTCONN);
	negotiate(&test);
	end(&test);
}

static void answers_go_to_their_calls_in_order(void **state)
{
	struct test test;

	(void)state;
	begin(&test);
	negotiate(&test);
	assert_int_equal(call(&test, "query-status", 0), 0);
	assert_int_equal(call(&test, "frobnicate", 0), 0);
	assert_int_equal(qmp_client_call(test.client, "getfd", json_pack("{s:s}", "fdname", "a"),
				 &(struct qmp_call){ on_reply, &test, 0, -1 }),
		0);
	assert_int_equal(qmp_client_call(test.client, "nobody-asks", NULL, NULL), 0);
	hear(&test, "{\"execute\":\"query-status\"}");
	hear(&test, "{\"execute\":\"frobnicate\"}");
	hear(&test, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"a\"}}");
	hear(&test, "{\"execute\":\"nobody-asks\"}");
	assert_true(wire_say(&test.wire,
		"{\"return\": {\"running\": true}}\r\n"
		"{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no such\"}}\r\n"
		"{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"STOP\"}\r\n"
		"{\"return\": []}\r\n{\"return\": 1}\r\n{\"event\": \"RESUME\"}\r\n"));
	expect_log(&test,
		"reply:{\"running\":true} reply:CommandNotFound/no such event:STOP reply:[] "
		"event:RESUME ");
	end(&test);
}

static void events_before_the_negotiation_are_passed_on(void **state)
{
	struct test test;

	(void)state;
	begin(&test);
	assert_true(wire_say(&test.wire, GREETING "{\"event\": \"STOP\"}\r\n"));
	expect_log(&test, "event:STOP ");
	end(&test);
}

static void a_number_beyond_jansson_is_no_harm(void **state)
{
	struct test test;

	(void)state;
	begin(&test);
	negotiate(&test);
	assert_int_equal(call(&test, "a", 0), 0);
	assert_int_equal(call(&test, "b", 0), 0);
	assert_int_equal(call(&test, "c", 0), 0);
	assert_true(wire_say(&test.wire,
		"{\"return\": {\"a\": 18446744073709551615, \"b\": 7}}{\"return\": nan}"
		"{\"return\": 1e999}{\"event\": \"X\", \"data\": {\"a\": "
		"9223372036854775808}}"));
	expect_log(&test, "reply:{\"a\":1.8446744073709552e19,\"b\":7} reply:null "
			  "reply:EBADMSG/JSON parse error, real number overflow near "
			  "'1e999' event:X ");
	end(&test);
}

static void a_late_answer_is_passed_over(void **state)
{
	struct test test;

	(void)state;
	begin(&test);
	negotiate(&test);
	assert_int_equal(call(&test, "slow", 30), 0);
	assert_int_equal(call(&test, "next", 0), 0);
	expect_log(&test, "reply:ETIMEDOUT/no answer to 'slow' within 30 ms ");
	assert_int_equal(call(&test, "last", 5000), 0);
	assert_true(wire_say(&test.wire,
		"{\"return\": \"of slow\"}{\"return\": \"of next\"}{\"return\": \"of last\"}"));
	expect_log(&test, "reply:\"of next\" reply:\"of last\" ");
	assert_int_equal(call(&test, "usable", 0), 0);
	assert_true(wire_say(&test.wire, "{\"return\": \"still\"}"));
	expect_log(&test, "reply:\"still\" ");
	end(&test);
}

static void deadlines_come_in_their_own_order(void **state)
{
	struct test test;

	(void)state;
	begin(&test);
	negotiate(&test);
	assert_int_equal(call(&test, "c", 90), 0);
	assert_int_equal(call(&test, "a", 20), 0);
	assert_int_equal(call(&test, "b", 50), 0);
	expect_log(&test, "reply:ETIMEDOUT/no answer to 'a' within 20 ms "
			  "reply:ETIMEDOUT/no answer to 'b' within 50 ms "
			  "reply:ETIMEDOUT/no answer to 'c' within 90 ms ");
	end(&test);
}

static void no_timer_runs_without_need(void **state)
{
	struct test test;

	(void)state;
	begin(&test);
	negotiate(&test);
	assert_int_equal(uv_backend_timeout(&test.wire.loop), -1);
	assert_int_equal(call(&test, "a", 0), 0);
	assert_int_equal(uv_backend_timeout(&test.wire.loop), -1);
	assert_int_equal(call(&test, "b", 5000), 0);
	assert_true(uv_backend_timeout(&test.wire.loop) > 4000);
	assert_true(wire_say(&test.wire, "{\"return\": 1}{\"return\": 2}"));
	expect_log(&test, "reply:1 reply:2 ");
	assert_int_equal(uv_backend_timeout(&test.wire.loop), -1);
	end(&test);
}

static void the_end_fails_calls_first(void **state)
{
	struct test test;

	(void)state;
	begin(&test);
	negotiate(&test);
	assert_int_equal(call(&test, "a", 5000), 0);
	assert_int_equal(call(&test, "b", 0), 0);
	assert_true(wire_say(&test.wire, "{\"event\": \"SHUTDOWN\"}\r\n{\"half"));
	close(take_fd(&test.wire.far));
	expect_log(&test, "event:SHUTDOWN "
			  "reply:ECONNRESET/the peer has closed the connection "
			  "reply:ECONNRESET/the peer has closed the connection "
			  "closed:the peer has closed the connection ");
	assert_int_equal(call(&test, "c", 0), -ENOTCONN);
	assert_false(uv_loop_alive(&test.wire.loop));
	end(&test);
}

static void freeing_fails_calls_from_within(void **state)
{
	struct test test;

	(void)state;
	begin(&test);
	negotiate(&test);
	assert_int_equal(call(&test, "a", 5000), 0);
	assert_int_equal(call(&test, "b", 0), 0);
	qmp_client_free(take_ptr(test.client));
	check_log(&test, "reply:ECONNRESET/the connection was given up "
			 "reply:ECONNRESET/the connection was given up ");
	end(&test);
}

static void a_client_may_be_freed_in_any_callback(void **state)
{
	static const char *const callbacks[] = { "ready", "event", "reply", "closed" };
	size_t i;

	(void)state;
	for (i = 0; i < 4; i++) {
		struct test test;

		begin(&test);
		test.free_at = callbacks[i];
		assert_true(wire_say(&test.wire, GREETING "{\"return\": {}}"));
		if (i == 0)
			RUN_UNTIL(&test.wire.loop, !test.client);
		else
			expect_log(&test, "ready: ");
		if (test.client) {
			assert_int_equal(call(&test, "a", 1), 0);
			assert_int_equal(call(&test, "b", 1), 0);
			wire_say(&test.wire, "{\"event\": \"A\"}{\"return\": 1}{\"event\": \"B\"}");
			close(take_fd(&test.wire.far));
		}
		RUN_UNTIL(&test.wire.loop, !test.client);
		end(&test);
	}
}

static void a_client_may_be_freed_when_time_is_up(void **state)
{
	struct test test;

	(void)state;
	begin(&test);
	negotiate(&test);
	test.free_at = "reply";
	assert_int_equal(call(&test, "a", 10), 0);
	assert_int_equal(call(&test, "b", 10), 0);
	expect_log(&test, "reply:ETIMEDOUT/no answer to 'a' within 10 ms "
			  "reply:ECONNRESET/the connection was given up ");
	end(&test);
}

static void garbled_streams_end_with_a_reason(void **state)
{
	static const struct {
		const char *bytes;
		const char *reason;
		bool negotiate;
	} cases[] = {
		{ "hello\n", "garbled at byte 0: a byte that does not belong there", false },
		{ "{\"event\": \"STOP\"}", "no QMP greeting: that is no QMP server", false },
		{ "{\"QMP\": {} x}", "JSON parse error", false },
		{ "{\"return\": {}}", "an answer to no question", true },
		{ "{\"error\": {}}", "an answer to no question", true },
		{ "{\"x\": {}}", "a message that is neither an answer nor an event", true },
		{ "{\"event\": 7}", "an event without a name", true },
		{ "{\"event\": \"A\", \"event\": \"B\"}", "JSON parse error", true },
		{ "{\"event\": \"\\u0000\"}", "JSON parse error", true },
		{ "{\"event\": \"\xc3\x28\"}", "JSON parse error", true },
		{ "[1]", "an array where an object is expected", true },
		{ "{\"a\nb\"}", "a byte that does not belong there", true },
		{ "\xff", "reset by a 0xff byte", true },
		{ "}", "a byte that does not belong there", true },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct test test;

		begin(&test);
		if (cases[i].negotiate)
			negotiate(&test);
		assert_true(wire_say(&test.wire, cases[i].bytes));
		RUN_UNTIL(&test.wire.loop, test.log.len);
		assert_true(str_starts(test.log.text, "closed:"));
		assert_non_null(strstr(test.log.text, cases[i].reason));
		end(&test);
	}
}

static void a_refused_negotiation_ends_with_a_reason(void **state)
{
	struct test test;

	(void)state;
	begin(&test);
	assert_true(wire_say(&test.wire,
		GREETING "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not you\"}}"));
	expect_log(&test, "closed:the QMP negotiation failed: not you ");
	end(&test);
}

static void too_many_calls_are_refused(void **state)
{
	struct test test;
	int i;

	(void)state;
	begin(&test);
	negotiate(&test);
	for (i = 0; i < QMP_CALLS_MAX; i++)
		assert_int_equal(qmp_client_call(test.client, "a", NULL, NULL), 0);
	assert_int_equal(call(&test, "a", 0), -EBUSY);
	assert_true(wire_say(&test.wire, "{\"return\": 1}"));
	wire_idle(&test.wire);
	assert_int_equal(call(&test, "a", 0), 0);
	end(&test);
}

static void a_monitor_that_does_not_read_is_given_up(void **state)
{
	char *large = malloc(1 << 20);
	struct test test;
	int r = 0;

	(void)state;
	memset(large, 'x', (1 << 20) - 1);
	large[(1 << 20) - 1] = '\0';
	begin(&test);
	negotiate(&test);
	while (r == 0)
		r = qmp_client_call(test.client, "a", json_pack("{s:s}", "x", large), NULL);
	free(large);
	assert_int_equal(r, -ENOBUFS);
	expect_log(&test, "closed:the peer does not read what it is sent ");
	end(&test);
}

static void a_large_answer_comes_whole(void **state)
{
	const size_t size = 3 << 20;
	char *answer = malloc(size + 64), *at;
	struct test test;

	(void)state;
	begin(&test);
	negotiate(&test);
	assert_int_equal(call(&test, "a", 0), 0);
	at = answer + sprintf(answer, "{\"return\": \"");
	memset(at, 'x', size);
	strcpy(at + size, "\"}\r\n{\"event\": \"AFTER\"}");
	assert_true(wire_say(&test.wire, answer));
	free(answer);
	RUN_UNTIL(&test.wire.loop, test.log.len > 20 && strstr(test.log.text, "event:AFTER"));
	assert_true(str_starts(test.log.text, "reply:\"xxxx"));
	end(&test);
}

static void a_descriptor_goes_with_its_command(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), received = -1;
	struct test test;
	char bytes[128];
	size_t n = 1;

	(void)state;
	begin(&test);
	negotiate(&test);
	assert_int_equal(qmp_client_call(test.client, "getfd", json_pack("{s:s}", "fdname", "a"),
				 &(struct qmp_call){ on_reply, &test, 0, fd }),
		0);
	close(fd);
	assert_true(fd_receive(test.wire.far, bytes, sizeof(bytes), &received, &n) > 0);
	assert_int_equal(n, 1);
	close(received);
	end(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_client_negotiates_by_itself),
		cmocka_unit_test(answers_go_to_their_calls_in_order),
		cmocka_unit_test(events_before_the_negotiation_are_passed_on),
		cmocka_unit_test(a_number_beyond_jansson_is_no_harm),
		cmocka_unit_test(a_late_answer_is_passed_over),
		cmocka_unit_test(deadlines_come_in_their_own_order),
		cmocka_unit_test(no_timer_runs_without_need),
		cmocka_unit_test(the_end_fails_calls_first),
		cmocka_unit_test(freeing_fails_calls_from_within),
		cmocka_unit_test(a_client_may_be_freed_in_any_callback),
		cmocka_unit_test(a_client_may_be_freed_when_time_is_up),
		cmocka_unit_test(garbled_streams_end_with_a_reason),
		cmocka_unit_test(a_refused_negotiation_ends_with_a_reason),
		cmocka_unit_test(too_many_calls_are_refused),
		cmocka_unit_test(a_monitor_that_does_not_read_is_given_up),
		cmocka_unit_test(a_large_answer_comes_whole),
		cmocka_unit_test(a_descriptor_goes_with_its_command),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
