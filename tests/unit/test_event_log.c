/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/vm/event_log.h"

static struct event_log events;

static int set_up(void **state)
{
	(void)state;
	event_log_init(&events);
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	event_log_finish(&events);
	return 0;
}

static void add_and_expect(const char *object, const char *expected)
{
	size_t len;
	const char *text = event_log_add(&events, object, strlen(object), &len);

	if (!expected) {
		assert_null(text);
		return;
	}
	assert_non_null(text);
	assert_int_equal(len, strlen(expected));
	assert_memory_equal(text, expected, len);
}

static void events_are_numbered_from_one(void **state)
{
	(void)state;
	add_and_expect("{\"event\": \"STOP\"}", "{\"vmlatch-seq\": 1, \"event\": \"STOP\"}");
	add_and_expect(" \r\n{ \"a\": 1 }\r\n", "{\"vmlatch-seq\": 2, \"a\": 1 }");
	add_and_expect("{}", "{\"vmlatch-seq\": 3}");
	add_and_expect("{ }", "{\"vmlatch-seq\": 4}");
}

static void what_is_no_object_takes_no_number(void **state)
{
	static const char *const bad[] = { "", " ", "[1]", "7", "{", "{  " };

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		add_and_expect(bad[i], NULL);
	add_and_expect("{}", "{\"vmlatch-seq\": 1}");
}

static void old_events_go_and_numbers_stay(void **state)
{
	size_t len;

	(void)state;
	for (int i = 0; i < 3 * EVENT_LOG_ROOM; i++)
		assert_non_null(event_log_add(&events, "{}", 2, &len));
	assert_null(event_log_get(&events, 0, &len));
	assert_null(event_log_get(&events, 2 * EVENT_LOG_ROOM, &len));
	assert_null(event_log_get(&events, 3 * EVENT_LOG_ROOM + 1, &len));
	assert_null(event_log_get(&events, UINT64_MAX, &len));
	for (uint64_t seq = 2 * EVENT_LOG_ROOM + 1; seq <= 3 * EVENT_LOG_ROOM; seq++) {
		char expected[64];
		const char *text = event_log_get(&events, seq, &len);

		snprintf(expected, sizeof(expected), "{\"vmlatch-seq\": %d}", (int)seq);
		assert_non_null(text);
		assert_int_equal(len, strlen(expected));
		assert_memory_equal(text, expected, len);
	}
}

static void large_events_make_room_for_themselves(void **state)
{
	static char large[EVENT_LOG_BYTES * 2];
	size_t len;

	(void)state;
	memset(large, ' ', sizeof(large));
	large[0] = '{';
	large[1] = '"';
	large[sizeof(large) - 1] = '}';
	for (int i = 0; i < 10; i++)
		assert_non_null(event_log_add(&events, "{}", 2, &len));
	/* never turned away, whatever its size: the others go for it */
	assert_non_null(event_log_add(&events, large, sizeof(large), &len));
	assert_null(event_log_get(&events, 10, &len));
	assert_non_null(event_log_get(&events, 11, &len));
	assert_non_null(event_log_add(&events, "{}", 2, &len));
	assert_null(event_log_get(&events, 11, &len));
	assert_non_null(event_log_get(&events, 12, &len));
	assert_in_range(events.bytes, 0, EVENT_LOG_BYTES);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(events_are_numbered_from_one, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			what_is_no_object_takes_no_number, set_up, tear_down),
		cmocka_unit_test_setup_teardown(old_events_go_and_numbers_stay, set_up, tear_down),
		cmocka_unit_test_setup_teardown(
			large_events_make_room_for_themselves, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
