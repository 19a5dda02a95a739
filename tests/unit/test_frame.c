/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "qmp/frame.h"
#include "qmp/inbox.h"

/*
 * A stream and what the scanner says about it: M for a message, A for an array,
 * B, L, D, R for the faults, each with its place in the stream.
 */
struct scan_case {
	const char *bytes;
	size_t len; /* 0: strlen */
	const char *said;
	size_t max_bytes;       /* 0: plenty */
	unsigned int max_depth; /* 0: plenty */
};

static const struct scan_case scan_cases[] = {
	{ "", 0, "" },
	{ " \r\n\t ", 0, "" },
	{ "{}", 0, "M0+2 " },
	{ "{}{}", 0, "M0+2 M2+2 " },
	{ "  {}\r\n {\"a\":[1,{}]}\n", 0, "M2+2 M7+12 " },
	{ "{\n  \"execute\":\n\t\"x\"\n}", 0, "M0+21 " },
	{ "{\"a\":\"}\"}", 0, "M0+9 " },
	{ "{\"a\":\"\\\"}\"}", 0, "M0+11 " },
	{ "{\"a\":\"\\\\\"}", 0, "M0+10 " },
	{ "{'a':'}\"'}", 0, "M0+10 " },
	{ "{'a':'\\'}'}", 0, "M0+11 " },
	{ "{\"it's\":1}", 0, "M0+10 " },
	{ "[1] {}", 0, "A0+3 M4+2 " },
	{ "[{\"execute\":\"quit\"}]{}", 0, "A0+20 M20+2 " },
	{ "{", 0, "" },
	{ "{\"a", 0, "" },
	{ "garbage\n{}", 0, "B0 M8+2 " },
	{ "a b c\ne\n{}", 0, "B0 B6 M8+2 " },
	{ "garbage{}", 0, "B0 M7+2 " },
	{ "3 {}", 0, "B0 M2+2 " },
	{ "} {}", 0, "B0 M2+2 " },
	{ "{},{}", 0, "M0+2 B2 M3+2 " },
	{ "\"{'execute':'quit'}\" {}", 0, "B0 M21+2 " },
	{ "\"{\n{}", 0, "B0 M3+2 " },
	{ "\"\\\"{}\" {}", 0, "B0 M7+2 " },
	{ "{]} {}\n{}", 0, "B1 M7+2 " },
	{ "[} {}\n{}", 0, "B1 M6+2 " },
	{ "{\"a\":[}\n{}", 0, "B6 M8+2 " },
	{ "{\"a\nb\":1}\n{}", 0, "B3 B4 M10+2 " },
	{ "{\"a\0\"}\n{}", 9, "B3 M7+2 " },
	{ "{\"a\":1\0}\n{}", 11, "B6 M9+2 " },
	{ "\0{}", 3, "B0 M1+2 " },
	{ "\xff{}", 0, "R0 M1+2 " },
	{ "{\"a\":\xff{}", 0, "R5 M6+2 " },
	{ "{\"a\xff{}", 0, "R3 M4+2 " },
	{ "{\"a\\\xff{}", 0, "R4 M5+2 " },
	{ "{]\xff{}", 0, "B1 R2 M3+2 " },
	{ "\xff\xff", 0, "R0 R1 " },
	{ "{\"a\":1}{}", 0, "M0+7 M7+2 ", .max_bytes = 7 },
	{ "{\"a\":12}{}", 0, "L7 M8+2 ", .max_bytes = 7 },
	{ "{\"a\":[\"]\",{}]} {}", 0, "L7 M15+2 ", .max_bytes = 7 },
	{ "{\"abcdefgh\n\":1}\n{}", 0, "L7 B11 M16+2 ", .max_bytes = 7 },
	{ "{\"abcdefgh\":\xff{}", 0, "L7 R12 M13+2 ", .max_bytes = 7 },
	{ "{\"a\":[]}", 0, "M0+8 ", .max_depth = 2 },
	{ "{\"a\":[{}]}{}", 0, "D6 M10+2 ", .max_depth = 2 },
	{ "[[[[]]]]{}", 0, "D2 M8+2 ", .max_depth = 2 },
	{ "[[[[}}]]{}", 0, "D2 M8+2 ", .max_depth = 2 },
	{ "[[[]}\n{}", 0, "D2 M6+2 ", .max_depth = 2 },
};

static const char fault_letters[] = {
	[FRAME_BAD] = 'B',
	[FRAME_LARGE] = 'L',
	[FRAME_DEEP] = 'D',
	[FRAME_RESET] = 'R',
};

static void say(struct str *said, const struct frame *frame, enum frame_result result)
{
	unsigned long long at = frame->at;

	if (result == FRAME_MESSAGE || result == FRAME_ARRAY)
		str_printf(said, "%c%llu+%zu ", result == FRAME_MESSAGE ? 'M' : 'A', at,
			frame->length);
	else if (result != FRAME_MORE)
		str_printf(said, "%c%llu ", fault_letters[result], at);
}

static void feed(struct frame *frame, struct str *said, const char *bytes, size_t len)
{
	while (len) {
		size_t used;

		say(said, frame, frame_scan(frame, bytes, len, &used));
		bytes += used;
		len -= used;
	}
}

static void start(struct frame *frame, const struct scan_case *c)
{
	frame_init(frame, c->max_bytes ? c->max_bytes : 1 << 20,
		c->max_depth ? c->max_depth : FRAME_DEPTH_MAX);
}

static size_t case_len(const struct scan_case *c)
{
	return c->len ? c->len : strlen(c->bytes);
}

static void check(const struct scan_case *c, struct str *said)
{
	str_append(said, "");
	assert_string_equal(said->text, c->said);
	str_finish(said);
}

static void the_scanner_says_what_the_table_says(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(scan_cases) / sizeof(scan_cases[0]); i++) {
		struct str said = { 0 };
		struct frame frame;

		start(&frame, &scan_cases[i]);
		feed(&frame, &said, scan_cases[i].bytes, case_len(&scan_cases[i]));
		check(&scan_cases[i], &said);
	}
}

static void a_stream_may_be_cut_anywhere(void **state)
{
	size_t i, cut;

	(void)state;
	for (i = 0; i < sizeof(scan_cases) / sizeof(scan_cases[0]); i++) {
		const struct scan_case *c = &scan_cases[i];

		for (cut = 0; cut <= case_len(c); cut++) {
			struct str said = { 0 };
			struct frame frame;

			start(&frame, c);
			feed(&frame, &said, c->bytes, cut);
			feed(&frame, &said, c->bytes + cut, case_len(c) - cut);
			check(c, &said);
		}
	}
}

static void a_stream_may_come_byte_by_byte(void **state)
{
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(scan_cases) / sizeof(scan_cases[0]); i++) {
		const struct scan_case *c = &scan_cases[i];
		struct str said = { 0 };
		struct frame frame;

		start(&frame, c);
		for (j = 0; j < case_len(c); j++)
			feed(&frame, &said, c->bytes + j, 1);
		check(c, &said);
	}
}

static void nesting_of_1024_passes_and_one_more_does_not(void **state)
{
	char bytes[2 * (FRAME_DEPTH_MAX + 1)];
	unsigned int depth;

	(void)state;
	for (depth = FRAME_DEPTH_MAX; depth <= FRAME_DEPTH_MAX + 1; depth++) {
		struct str said = { 0 };
		struct frame frame;

		memset(bytes, '{', depth);
		memset(bytes + depth, '}', depth);
		frame_init(&frame, sizeof(bytes), FRAME_DEPTH_MAX + 5);
		feed(&frame, &said, bytes, 2 * depth);
		assert_string_equal(said.text, depth == FRAME_DEPTH_MAX ? "M0+2048 " : "D1024 ");
		str_finish(&said);
	}
}

static void every_fault_has_words(void **state)
{
	int i;

	(void)state;
	for (i = FRAME_ARRAY; i <= FRAME_RESET; i++)
		assert_string_not_equal(frame_fault_text(i), "no fault");
}

static void a_member_is_found_without_a_tree(void **state)
{
	static const struct {
		const char *bytes;
		const char *name;
		const char *value; /* NULL: not there */
	} cases[] = {
		{ "{\"event\":\"STOP\"}", "event", "\"STOP\"" },
		{ "{ \"a\" : 1 , \"id\" : [1, {\"x\": 2} ] }", "id", "[1, {\"x\": 2} ]" },
		{ "{\"a\":{\"id\":1},\"id\":2}", "id", "2" },
		{ "{\"a\":{\"id\":1}}", "id", NULL },
		{ "{\"a\":\"\\\",\\\"id\\\":1\",\"id\":3}", "id", "3" },
		{ "{\"id\":18446744073709551615}", "id", "18446744073709551615" },
		{ "{'id':'it\\'s'}", "id", "'it\\'s'" },
		{ "{\"\\u0069d\":7}", "id", "7" },
		{ "{\"\\u0069\\u0064\":7}", "id", "7" },
		{ "{\"\\u00e9\":7,\"id\":8}", "id", "8" },
		{ "{\"i\":1,\"idx\":2}", "id", NULL },
		{ "{\"id\":1,\"id\":2}", "id", "1" },
		{ "{}", "id", NULL },
		{ "[\"id\"]", "id", NULL },
		{ "{\"id\"}", "id", NULL },
		{ "{\"id\":}", "id", NULL },
		{ "{id:1}", "id", NULL },
		{ "{\"id\":1 \n}", "id", "1" },
		{ "{\"id", "id", NULL },
		{ "", "id", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		size_t len = strlen(cases[i].bytes);
		/* on the heap, so that a sanitizer sees a step too far */
		char *bytes = memcpy(malloc(len + 1), cases[i].bytes, len);
		struct frame_value value = frame_find_member(bytes, len, cases[i].name);

		assert_int_equal(value.bytes != NULL, cases[i].value != NULL);
		if (value.bytes) {
			assert_int_equal(value.len, strlen(cases[i].value));
			assert_memory_equal(value.bytes, cases[i].value, value.len);
		}
		free(bytes);
	}
}

static void an_inbox_gives_whole_messages_and_then_holds_no_memory(void **state)
{
	const char *stream = " {\"a\":1}\r\n{\"b\":[1,2,3]} x\n{\"c\"";
	struct frame_value message;
	struct inbox inbox;
	size_t i;

	(void)state;
	inbox_init(&inbox, 1 << 20, 16);
	assert_int_equal(inbox_next(&inbox, &message), FRAME_MORE);
	assert_int_equal(inbox_append(&inbox, stream, strlen(stream)), 0);
	assert_int_equal(inbox_waiting(&inbox), strlen(stream));
	assert_int_equal(inbox_next(&inbox, &message), FRAME_MESSAGE);
	assert_memory_equal(message.bytes, "{\"a\":1}", message.len);
	assert_int_equal(inbox_next(&inbox, &message), FRAME_MESSAGE);
	assert_memory_equal(message.bytes, "{\"b\":[1,2,3]}", message.len);
	assert_int_equal(inbox_next(&inbox, &message), FRAME_BAD);
	assert_int_equal(inbox_next(&inbox, &message), FRAME_MORE);
	for (i = 0; i < 3000; i++) {
		assert_int_equal(inbox_append(&inbox, " ", 1), 0);
		assert_int_equal(inbox_next(&inbox, &message), FRAME_MORE);
	}
	assert_int_equal(inbox_append(&inbox, ":2}\n", 4), 0);
	assert_int_equal(inbox_next(&inbox, &message), FRAME_MESSAGE);
	assert_int_equal(message.len, 3000 + 7);
	assert_int_equal(inbox_next(&inbox, &message), FRAME_MORE);
	assert_null(inbox.bytes);
}

static void what_is_passed_over_is_not_kept(void **state)
{
	struct frame_value message;
	struct inbox inbox;
	int i;

	(void)state;
	inbox_init(&inbox, 1000, 16);
	assert_int_equal(inbox_append(&inbox, "{\"", 2), 0);
	for (i = 0; i < 2000; i++) {
		enum frame_result result;

		assert_int_equal(inbox_append(&inbox, "xxxxxxxxxx", 10), 0);
		result = inbox_next(&inbox, &message);
		assert_int_equal(result, i == 99 ? FRAME_LARGE : FRAME_MORE);
		if (result == FRAME_LARGE)
			assert_int_equal(inbox_next(&inbox, &message), FRAME_MORE);
		assert_true(inbox.size <= 2048);
	}
	inbox_finish(&inbox);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_scanner_says_what_the_table_says),
		cmocka_unit_test(a_stream_may_be_cut_anywhere),
		cmocka_unit_test(a_stream_may_come_byte_by_byte),
		cmocka_unit_test(nesting_of_1024_passes_and_one_more_does_not),
		cmocka_unit_test(every_fault_has_words),
		cmocka_unit_test(a_member_is_found_without_a_tree),
		cmocka_unit_test(an_inbox_gives_whole_messages_and_then_holds_no_memory),
		cmocka_unit_test(what_is_passed_over_is_not_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
