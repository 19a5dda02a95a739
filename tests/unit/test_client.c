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

static void say(struct test *test, const char *text)
{
	assert_true(wire_say(&test->wire, text));
}

static void hear(struct test *test, const char *expected)
{
	const char *line = wire_hear(&test->wire);

	assert_non_null(line);
	assert_string_equal(line, expected);
}

static void negotiate(struct test *test)
{
	say(test, GREETING);
	hear(test, "{\"execute\":\"qmp_capabilities\"}");
	say(test, "{\"return\": {}}\r\n");
	expect_log(test, "ready: ");
}

static int call(struct test *test, const char *command, uint64_t timeout_ms)
{
	return qmp_client_call(
		test->client, command, NULL, &(struct qmp_call){ on_reply, test, timeout_ms, -1 });
}

static void ask(struct test *test, const char *command, uint64_t timeout_ms)
{
	assert_int_equal(call(test, command, timeout_ms), 0);
}

/* Each test has a client of its own, before or after the negotiation; some make theirs. */
static struct test the_test;

static int unconnected(void **state)
{
	*state = &the_test;
	return 0;
}

static int connected(void **state)
{
	begin(&the_test);
	return unconnected(state);
}

static int negotiated(void **state)
{
	begin(&the_test);
	negotiate(&the_test);
	return unconnected(state);
}

static int ended(void **state)
{
	end(*state);
	return 0;
}

static void the_client_negotiates_by_itself(void **state)
{
	struct test *test = *state;

	assert_int_equal(call(test, "stop", 0), -ENOTCONN);
	negotiate(test);
}

static void answers_go_to_their_calls_in_order(void **state)
{
	struct test *test = *state;

	ask(test, "query-status", 0);
	ask(test, "frobnicate", 0);
	assert_int_equal(qmp_client_call(test->client, "getfd", json_pack("{s:s}", "fdname", "a"),
				 &(struct qmp_call){ on_reply, test, 0, -1 }),
		0);
	assert_int_equal(qmp_client_call(test->client, "nobody-asks", NULL, NULL), 0);
	hear(test, "{\"execute\":\"query-status\"}");
	hear(test, "{\"execute\":\"frobnicate\"}");
	hear(test, "{\"execute\":\"getfd\",\"arguments\":{\"fdname\":\"a\"}}");
	hear(test, "{\"execute\":\"nobody-asks\"}");
	say(test, "{\"return\": {\"running\": true}}\r\n"
		  "{\"error\": {\"class\": \"CommandNotFound\", \"desc\": \"no such\"}}\r\n"
		  "{\"timestamp\": {\"seconds\": 1, \"microseconds\": 2}, \"event\": \"STOP\"}\r\n"
		  "{\"return\": []}\r\n{\"return\": 1}\r\n{\"event\": \"RESUME\"}\r\n");
	expect_log(test,
		"reply:{\"running\":true} reply:CommandNotFound/no such event:STOP reply:[] "
		"event:RESUME ");
}

static void events_before_the_negotiation_are_passed_on(void **state)
{
	struct test *test = *state;

	say(test, GREETING "{\"event\": \"STOP\"}\r\n");
	expect_log(test, "event:STOP ");
}

static void a_number_beyond_jansson_is_no_harm(void **state)
{
	struct test *test = *state;

	ask(test, "a", 0);
	ask(test, "b", 0);
	ask(test, "c", 0);
	say(test, "{\"return\": {\"a\": 18446744073709551615, \"b\": 7}}{\"return\": nan}"
		  "{\"return\": 1e999}{\"event\": \"X\", \"data\": {\"a\": "
		  "9223372036854775808}}");
	expect_log(test, "reply:{\"a\":1.8446744073709552e19,\"b\":7} reply:null "
			 "reply:EBADMSG/JSON parse error, real number overflow near "
			 "'1e999' event:X ");
}

static void a_late_answer_is_passed_over(void **state)
{
	struct test *test = *state;

	ask(test, "slow", 30);
	ask(test, "next", 0);
	expect_log(test, "reply:ETIMEDOUT/no answer to 'slow' within 30 ms ");
	ask(test, "last", 5000);
	say(test, "{\"return\": \"of slow\"}{\"return\": \"of next\"}{\"return\": \"of last\"}");
	expect_log(test, "reply:\"of next\" reply:\"of last\" ");
	ask(test, "usable", 0);
	say(test, "{\"return\": \"still\"}");
	expect_log(test, "reply:\"still\" ");
}

static void deadlines_come_in_their_own_order(void **state)
{
	struct test *test = *state;

	ask(test, "c", 90);
	ask(test, "a", 20);
	ask(test, "b", 50);
	expect_log(test, "reply:ETIMEDOUT/no answer to 'a' within 20 ms "
			 "reply:ETIMEDOUT/no answer to 'b' within 50 ms "
			 "reply:ETIMEDOUT/no answer to 'c' within 90 ms ");
}

static void no_timer_runs_without_need(void **state)
{
	struct test *test = *state;

	assert_int_equal(uv_backend_timeout(&test->wire.loop), -1);
	ask(test, "a", 0);
	assert_int_equal(uv_backend_timeout(&test->wire.loop), -1);
	ask(test, "b", 5000);
	assert_true(uv_backend_timeout(&test->wire.loop) > 4000);
	say(test, "{\"return\": 1}{\"return\": 2}");
	expect_log(test, "reply:1 reply:2 ");
	assert_int_equal(uv_backend_timeout(&test->wire.loop), -1);
}

static void the_end_fails_calls_first(void **state)
{
	struct test *test = *state;

	ask(test, "a", 5000);
	ask(test, "b", 0);
	say(test, "{\"event\": \"SHUTDOWN\"}\r\n{\"half");
	close(take_fd(&test->wire.far));
	expect_log(test, "event:SHUTDOWN "
			 "reply:ECONNRESET/the peer has closed the connection "
			 "reply:ECONNRESET/the peer has closed the connection "
			 "closed:the peer has closed the connection ");
	assert_int_equal(call(test, "c", 0), -ENOTCONN);
	assert_false(uv_loop_alive(&test->wire.loop));
}

static void freeing_fails_calls_from_within(void **state)
{
	struct test *test = *state;

	ask(test, "a", 5000);
	ask(test, "b", 0);
	qmp_client_free(take_ptr(test->client));
	check_log(test, "reply:ECONNRESET/the connection was given up "
			"reply:ECONNRESET/the connection was given up ");
}

static void a_client_may_be_freed_in_any_callback(void **state)
{
	static const char *const callbacks[] = { "ready", "event", "reply", "closed" };
	struct test *test = *state;
	size_t i;

	for (i = 0; i < 4; i++) {
		begin(test);
		test->free_at = callbacks[i];
		say(test, GREETING "{\"return\": {}}");
		if (i == 0)
			RUN_UNTIL(&test->wire.loop, !test->client);
		else
			expect_log(test, "ready: ");
		if (test->client) {
			ask(test, "a", 1);
			ask(test, "b", 1);
			wire_say(
				&test->wire, "{\"event\": \"A\"}{\"return\": 1}{\"event\": \"B\"}");
			close(take_fd(&test->wire.far));
		}
		RUN_UNTIL(&test->wire.loop, !test->client);
		end(test);
	}
}

static void a_client_may_be_freed_when_time_is_up(void **state)
{
	struct test *test = *state;

	test->free_at = "reply";
	ask(test, "a", 10);
	ask(test, "b", 10);
	expect_log(test, "reply:ETIMEDOUT/no answer to 'a' within 10 ms "
			 "reply:ECONNRESET/the connection was given up ");
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
	struct test *test = *state;
	size_t i;

	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		begin(test);
		if (cases[i].negotiate)
			negotiate(test);
		say(test, cases[i].bytes);
		RUN_UNTIL(&test->wire.loop, test->log.len);
		assert_true(str_starts(test->log.text, "closed:"));
		assert_non_null(strstr(test->log.text, cases[i].reason));
		end(test);
	}
}

static void a_refused_negotiation_ends_with_a_reason(void **state)
{
	struct test *test = *state;

	say(test, GREETING "{\"error\": {\"class\": \"GenericError\", \"desc\": \"not you\"}}");
	expect_log(test, "closed:the QMP negotiation failed: not you ");
}

static void too_many_calls_are_refused(void **state)
{
	struct test *test = *state;
	int i;

	for (i = 0; i < QMP_CALLS_MAX; i++)
		assert_int_equal(qmp_client_call(test->client, "a", NULL, NULL), 0);
	assert_int_equal(call(test, "a", 0), -EBUSY);
	say(test, "{\"return\": 1}");
	wire_idle(&test->wire);
	ask(test, "a", 0);
}

static void a_monitor_that_does_not_read_is_given_up(void **state)
{
	char *large = malloc(1 << 20);
	struct test *test = *state;
	int r = 0;

	memset(large, 'x', (1 << 20) - 1);
	large[(1 << 20) - 1] = '\0';
	while (r == 0)
		r = qmp_client_call(test->client, "a", json_pack("{s:s}", "x", large), NULL);
	free(large);
	assert_int_equal(r, -ENOBUFS);
	expect_log(test, "closed:the peer does not read what it is sent ");
}

static void a_large_answer_comes_whole(void **state)
{
	const size_t size = 3 << 20;
	char *answer = malloc(size + 64), *at;
	struct test *test = *state;

	ask(test, "a", 0);
	at = answer + sprintf(answer, "{\"return\": \"");
	memset(at, 'x', size);
	strcpy(at + size, "\"}\r\n{\"event\": \"AFTER\"}");
	say(test, answer);
	free(answer);
	RUN_UNTIL(&test->wire.loop, test->log.len > 20 && strstr(test->log.text, "event:AFTER"));
	assert_true(str_starts(test->log.text, "reply:\"xxxx"));
}

static void a_descriptor_goes_with_its_command(void **state)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), received = -1;
	struct test *test = *state;
	char bytes[128];
	size_t n = 1;

	assert_int_equal(qmp_client_call(test->client, "getfd", json_pack("{s:s}", "fdname", "a"),
				 &(struct qmp_call){ on_reply, test, 0, fd }),
		0);
	close(fd);
	assert_true(fd_receive(test->wire.far, bytes, sizeof(bytes), &received, &n) > 0);
	assert_int_equal(n, 1);
	close(received);
}

#define TEST(name, begins) cmocka_unit_test_setup_teardown(name, begins, ended)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(the_client_negotiates_by_itself, connected),
		TEST(answers_go_to_their_calls_in_order, negotiated),
		TEST(events_before_the_negotiation_are_passed_on, connected),
		TEST(a_number_beyond_jansson_is_no_harm, negotiated),
		TEST(a_late_answer_is_passed_over, negotiated),
		TEST(deadlines_come_in_their_own_order, negotiated),
		TEST(no_timer_runs_without_need, negotiated),
		TEST(the_end_fails_calls_first, negotiated),
		TEST(freeing_fails_calls_from_within, negotiated),
		cmocka_unit_test_setup(a_client_may_be_freed_in_any_callback, unconnected),
		TEST(a_client_may_be_freed_when_time_is_up, negotiated),
		cmocka_unit_test_setup(garbled_streams_end_with_a_reason, unconnected),
		TEST(a_refused_negotiation_ends_with_a_reason, connected),
		TEST(too_many_calls_are_refused, negotiated),
		TEST(a_monitor_that_does_not_read_is_given_up, negotiated),
		TEST(a_large_answer_comes_whole, negotiated),
		TEST(a_descriptor_goes_with_its_command, negotiated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
