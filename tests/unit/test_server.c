/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "qmp/server.h"
#include "wire.h"

#define HELLO "{\"execute\":\"qmp_capabilities\"}"

/*
 * A server whose owner answers "now" at once, keeps "later" until the test
 * answers it, and fails all else.
 */
struct test {
	struct wire wire; /* far: the first client */
	struct qmp_server *server;
	char dir[32];
	char path[64];
	struct str log; /* the commands that the owner saw */
	struct qmp_request *kept[4];
	size_t n_kept;
	bool nobody_may;
	bool free_at_command;
};

static void on_command(void *data, struct qmp_request *request)
{
	const char *command = qmp_request_command(request);
	struct test *test = data;

	str_printf(&test->log, "%s ", command);
	assert_true(json_is_object(qmp_request_arguments(request)));
	if (test->free_at_command)
		qmp_server_free(take_ptr(test->server));
	if (strcmp(command, "now") == 0)
		qmp_request_reply(request, json_incref(qmp_request_arguments(request)));
	else if (strcmp(command, "empty") == 0)
		qmp_request_reply(request, NULL);
	else if (strcmp(command, "later") == 0)
		test->kept[test->n_kept++] = request;
	else if (strcmp(command, "busy") == 0)
		qmp_request_fail(request, NULL, "%s is %d%% busy", "disk\xff", 100);
	else
		qmp_request_not_found(request);
}

static bool may_connect(void *data, const struct ucred *peer)
{
	assert_int_equal(peer->pid, getpid());
	return !((struct test *)data)->nobody_may;
}

static const struct qmp_server_ops ops = { on_command, NULL };
static const struct qmp_server_ops asking_ops = { on_command, may_connect };

static int listening_socket(struct test *test)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(test->dir, "/tmp/vmlatch-qmp-XXXXXX");
	assert_non_null(mkdtemp(test->dir));
	snprintf(test->path, sizeof(test->path), "%s/qmp.sock", test->dir);
	strcpy(address.sun_path, test->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

static void begin(struct test *test, const struct qmp_server_ops *which)
{
	struct error err;

	*test = (struct test){ 0 };
	wire_open(&test->wire);
	close(test->wire.near);
	close(test->wire.far);
	assert_int_equal(qmp_server_new(&test->wire.loop, listening_socket(test), which, test,
				 &test->server, &err),
		0);
	test->wire.far = wire_connect(test->path);
}

static void end(struct test *test)
{
	qmp_server_free(test->server);
	wire_close(&test->wire);
	str_finish(&test->log);
	unlink(test->path);
	rmdir(test->dir);
}

static void hear(struct test *test, const char *expected)
{
	const char *line = wire_hear(&test->wire);

	assert_non_null(line);
	assert_string_equal(line, expected);
}

static void hear_part(struct test *test, const char *part)
{
	const char *line = wire_hear(&test->wire);

	assert_non_null(line);
	if (!strstr(line, part))
		assert_string_equal(line, part); /* shows both */
}

static void say(struct test *test, const char *text)
{
	assert_true(wire_say(&test->wire, text));
}

static void begin_negotiated(struct test *test)
{
	begin(test, &ops);
	hear_part(test, "{\"QMP\":");
	say(test, HELLO);
	hear(test, "{\"return\":{}}");
}

static void a_client_is_greeted_and_negotiates(void **state)
{
	struct test test;

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
	struct test test;

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
	struct test test;
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
	struct test test;
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
	struct test test;
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
	struct test test;

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

static void another_client_need_not_wait(void **state)
{
	struct test test;
	int first;

	(void)state;
	begin_negotiated(&test);
	say(&test, "{\"execute\":\"later\",\"id\":1}");
	RUN_UNTIL(&test.wire.loop, test.n_kept == 1);
	first = test.wire.far;
	test.wire.far = wire_connect(test.path);
	hear_part(&test, "{\"QMP\":");
	say(&test, HELLO "{\"execute\":\"now\"}");
	hear(&test, "{\"return\":{}}");
	hear(&test, "{\"return\":{}}");
	assert_int_equal(qmp_server_clients(test.server), 2);
	qmp_request_reply(test.kept[0], NULL);
	close(first);
	end(&test);
}

static void reading_pauses_while_a_command_is_open(void **state)
{
	struct test test;
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

static void an_answer_to_nobody_is_swallowed(void **state)
{
	struct test test;

	(void)state;
	begin_negotiated(&test);
	say(&test, "{\"execute\":\"later\"}{\"execute\":\"now\"}");
	RUN_UNTIL(&test.wire.loop, test.n_kept == 1);
	close(take_fd(&test.wire.far));
	RUN_UNTIL(&test.wire.loop, qmp_server_clients(test.server) == 0);
	assert_string_equal(qmp_request_command(test.kept[0]), "later");
	qmp_request_reply(test.kept[0], json_integer(1));
	wire_idle(&test.wire);
	assert_string_equal(test.log.text, "later ");
	end(&test);
}

static void a_request_outlives_the_server(void **state)
{
	struct test test;

	(void)state;
	begin_negotiated(&test);
	say(&test, "{\"execute\":\"later\"}");
	RUN_UNTIL(&test.wire.loop, test.n_kept == 1);
	qmp_server_free(take_ptr(test.server));
	RUN_UNTIL(&test.wire.loop, !uv_loop_alive(&test.wire.loop));
	qmp_request_fail(test.kept[0], NULL, "too late");
	assert_null(wire_hear(&test.wire));
	end(&test);
}

static void the_server_may_be_freed_in_a_command(void **state)
{
	struct test test;

	(void)state;
	begin_negotiated(&test);
	test.free_at_command = true;
	say(&test, "{\"execute\":\"now\"}{\"execute\":\"now\"}");
	RUN_UNTIL(&test.wire.loop, !test.server);
	assert_null(wire_hear(&test.wire));
	assert_string_equal(test.log.text, "now ");
	end(&test);
}

static void a_client_that_stops_sending_gets_its_answers(void **state)
{
	struct test test;

	(void)state;
	begin(&test, &ops);
	say(&test, HELLO "{\"execute\":\"now\"}{\"execute\":\"later\",\"id\":1}"
			 "{\"execute\":\"empty\",\"id\":2}{\"half");
	assert_int_equal(shutdown(test.wire.far, SHUT_WR), 0);
	RUN_UNTIL(&test.wire.loop, test.n_kept == 1);
	wire_idle(&test.wire);
	hear_part(&test, "{\"QMP\":");
	hear(&test, "{\"return\":{}}");
	hear(&test, "{\"return\":{}}");
	qmp_request_reply(test.kept[0], NULL);
	hear(&test, "{\"return\":{},\"id\":1}");
	hear(&test, "{\"return\":{},\"id\":2}");
	assert_null(wire_hear(&test.wire));
	RUN_UNTIL(&test.wire.loop, qmp_server_clients(test.server) == 0);
	end(&test);
}

static void half_a_message_then_the_end_harms_nobody(void **state)
{
	static const char *const halves[] = { "{", "{\"execute\":\"no", "\"", "{\"a\\", "[[[[",
		"" };
	struct test test;
	size_t i;

	(void)state;
	begin(&test, &ops);
	for (i = 0; i < sizeof(halves) / sizeof(halves[0]); i++) {
		say(&test, halves[i]);
		close(take_fd(&test.wire.far));
		RUN_UNTIL(&test.wire.loop, qmp_server_clients(test.server) == 0);
		test.wire.far = wire_connect(test.path);
		RUN_UNTIL(&test.wire.loop, qmp_server_clients(test.server) == 1);
	}
	end(&test);
}

static void events_go_to_those_who_have_negotiated(void **state)
{
	json_t *data = json_pack("{s:s}", "state", "held");
	struct test test;
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

static void a_client_that_does_not_read_is_closed_alone(void **state)
{
	char *event = malloc(100000);
	struct test test;
	int deaf, i;

	(void)state;
	memset(event, ' ', 100000);
	memcpy(event, "{\"event\": \"X\"", 13);
	event[99999] = '}';
	begin_negotiated(&test);
	deaf = test.wire.far;
	test.wire.far = wire_connect(test.path);
	hear_part(&test, "{\"QMP\":");
	say(&test, HELLO);
	hear(&test, "{\"return\":{}}");
	for (i = 0; i < 60; i++) {
		assert_int_equal(qmp_server_emit(test.server, event, 100000), 0);
		hear_part(&test, "{\"event\": \"X\"");
	}
	RUN_UNTIL(&test.wire.loop, qmp_server_clients(test.server) == 1);
	close(deaf);
	free(event);
	end(&test);
}

static void a_flood_of_commands_without_reading_ends(void **state)
{
	struct test test;
	int i;

	(void)state;
	begin_negotiated(&test);
	for (i = 0; i < 1000000; i++) {
		if (!wire_say(&test.wire, "{\"execute\":\"now\"} 1 \n"))
			break;
	}
	assert_true(i < 1000000);
	RUN_UNTIL(&test.wire.loop, qmp_server_clients(test.server) == 0);
	end(&test);
}

static void there_is_room_for_so_many_clients_only(void **state)
{
	int fds[QMP_SERVER_CLIENTS_MAX];
	struct test test;
	int i;

	(void)state;
	begin(&test, &ops);
	for (i = 1; i < QMP_SERVER_CLIENTS_MAX; i++)
		fds[i] = wire_connect(test.path);
	RUN_UNTIL(&test.wire.loop, qmp_server_clients(test.server) == QMP_SERVER_CLIENTS_MAX);
	fds[0] = test.wire.far;
	test.wire.far = wire_connect(test.path);
	hear(&test, "{\"error\":{\"class\":\"GenericError\",\"desc\":\"too many clients are "
		    "connected\"}}");
	assert_null(wire_hear(&test.wire));
	close(fds[5]);
	RUN_UNTIL(&test.wire.loop, qmp_server_clients(test.server) == QMP_SERVER_CLIENTS_MAX - 1);
	close(test.wire.far);
	test.wire.far = wire_connect(test.path);
	hear_part(&test, "{\"QMP\":");
	for (i = 0; i < QMP_SERVER_CLIENTS_MAX; i++) {
		if (i != 5)
			close(fds[i]);
	}
	RUN_UNTIL(&test.wire.loop, qmp_server_clients(test.server) == 1);
	end(&test);
}

static void who_may_not_connect_is_told_so(void **state)
{
	struct test test;

	(void)state;
	begin(&test, &asking_ops);
	hear_part(&test, "{\"QMP\":");
	test.nobody_may = true;
	close(test.wire.far);
	test.wire.far = wire_connect(test.path);
	hear_part(&test, "this socket is for root and the VM's own user");
	assert_null(wire_hear(&test.wire));
	end(&test);
}

static void on_guard(uv_timer_t *timer)
{
	*(bool *)timer->data = true;
}

/* How many rounds the loop makes by itself in that time. */
static int count_rounds(uv_loop_t *loop, uint64_t ms)
{
	bool over = false;
	uv_timer_t guard;
	int rounds = 0;

	uv_timer_init(loop, &guard);
	guard.data = &over;
	uv_timer_start(&guard, on_guard, ms, 0);
	while (!over) {
		uv_run(loop, UV_RUN_ONCE);
		rounds++;
	}
	uv_close((uv_handle_t *)&guard, NULL);
	uv_run(loop, UV_RUN_NOWAIT);
	return rounds;
}

static void want_of_descriptors_is_no_busy_loop(void **state)
{
	struct rlimit limit, low;
	struct test test;
	int rounds;

	(void)state;
	begin_negotiated(&test);
	close(test.wire.far);
	RUN_UNTIL(&test.wire.loop, qmp_server_clients(test.server) == 0);
	test.wire.far = wire_connect(test.path);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	low = limit;
	low.rlim_cur = 3; /* all descriptors that are open stay so, but none is added */
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &low), 0);
	rounds = count_rounds(&test.wire.loop, 300);
	assert_int_equal(qmp_server_clients(test.server), 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
	assert_true(rounds < 10);
	close(test.wire.far); /* valgrind's accept() has lost it */
	test.wire.far = wire_connect(test.path);
	hear_part(&test, "{\"QMP\":");
	end(&test);
}

static void an_idle_client_costs_no_wakeups(void **state)
{
	struct test test;

	(void)state;
	begin_negotiated(&test);
	say(&test, "{\"execute\":\"now\"}\r\n{\"execute\":\"later\"}\r\n");
	hear(&test, "{\"return\":{}}");
	RUN_UNTIL(&test.wire.loop, test.n_kept == 1);
	assert_int_equal(uv_backend_timeout(&test.wire.loop), -1);
	assert_true(count_rounds(&test.wire.loop, 100) <= 2);
	qmp_request_reply(test.kept[0], NULL);
	hear(&test, "{\"return\":{}}");
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
		cmocka_unit_test(another_client_need_not_wait),
		cmocka_unit_test(reading_pauses_while_a_command_is_open),
		cmocka_unit_test(an_answer_to_nobody_is_swallowed),
		cmocka_unit_test(a_request_outlives_the_server),
		cmocka_unit_test(the_server_may_be_freed_in_a_command),
		cmocka_unit_test(a_client_that_stops_sending_gets_its_answers),
		cmocka_unit_test(half_a_message_then_the_end_harms_nobody),
		cmocka_unit_test(events_go_to_those_who_have_negotiated),
		cmocka_unit_test(a_client_that_does_not_read_is_closed_alone),
		cmocka_unit_test(a_flood_of_commands_without_reading_ends),
		cmocka_unit_test(there_is_room_for_so_many_clients_only),
		cmocka_unit_test(who_may_not_connect_is_told_so),
		cmocka_unit_test(want_of_descriptors_is_no_busy_loop),
		cmocka_unit_test(an_idle_client_costs_no_wakeups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
