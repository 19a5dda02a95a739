/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "server_fixture.h"

static void another_client_need_not_wait(void **state)
{
	struct server_test test;
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

static void an_answer_to_nobody_is_swallowed(void **state)
{
	struct server_test test;

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
	struct server_test test;

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
	struct server_test test;

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
	struct server_test test;

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
	struct server_test test;
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

static void a_client_that_does_not_read_is_closed_alone(void **state)
{
	char *event = malloc(100000);
	struct server_test test;
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
	struct server_test test;
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
	struct server_test test;
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
	struct server_test test;

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
	struct server_test test;
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
	struct server_test test;

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
		cmocka_unit_test(another_client_need_not_wait),
		cmocka_unit_test(an_answer_to_nobody_is_swallowed),
		cmocka_unit_test(a_request_outlives_the_server),
		cmocka_unit_test(the_server_may_be_freed_in_a_command),
		cmocka_unit_test(a_client_that_stops_sending_gets_its_answers),
		cmocka_unit_test(half_a_message_then_the_end_harms_nobody),
		cmocka_unit_test(a_client_that_does_not_read_is_closed_alone),
		cmocka_unit_test(a_flood_of_commands_without_reading_ends),
		cmocka_unit_test(there_is_room_for_so_many_clients_only),
		cmocka_unit_test(who_may_not_connect_is_told_so),
		cmocka_unit_test(want_of_descriptors_is_no_busy_loop),
		cmocka_unit_test(an_idle_client_costs_no_wakeups),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
