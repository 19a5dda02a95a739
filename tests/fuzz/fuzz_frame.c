/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "qmp/frame.h"
#include "qmp/inbox.h"

/*
 * The scanner gives the same results whatever way the stream is cut, and the
 * inbox gives just the bytes that the scanner means. The input's first bytes say
 * how narrow the limits are and how the rest is cut.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct limits {
	size_t max_bytes;
	unsigned int max_depth;
};

static void must(int condition)
{
	if (!condition)
		abort();
}

static void say(struct str *said, const struct frame *frame, enum frame_result result)
{
	if (result != FRAME_MORE)
		str_printf(said, "%d@%llu+%zu ", (int)result, (unsigned long long)frame->at,
			result <= FRAME_ARRAY ? frame->length : 0);
}

static void scan_whole(const struct limits *limits, const char *bytes, size_t len, struct str *said)
{
	struct frame frame;
	size_t at = 0;

	frame_init(&frame, limits->max_bytes, limits->max_depth);
	while (at < len) {
		size_t used;
		enum frame_result result = frame_scan(&frame, bytes + at, len - at, &used);

		must(used > 0 && used <= len - at);
		must(result != FRAME_MORE || used == len - at);
		at += used;
		must(frame.offset == at);
		must(frame.length <= at && frame.length <= limits->max_bytes);
		say(said, &frame, result);
	}
}

static void look_for_members(struct frame_value message)
{
	static const char *const names[] = { "id", "event", "return", "a", "" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		struct frame_value found = frame_find_member(message.bytes, message.len, names[i]);

		if (!found.bytes)
			continue;
		must(found.bytes > message.bytes);
		must(found.bytes + found.len <= message.bytes + message.len);
	}
}

/* In pieces, through an inbox; what it gives is compared with the stream itself. */
static void scan_pieces(
	const struct limits *limits, const char *bytes, size_t len, size_t piece, struct str *said)
{
	struct inbox inbox;
	size_t at;

	inbox_init(&inbox, limits->max_bytes, limits->max_depth);
	for (at = 0; at < len; at += piece) {
		size_t n = piece < len - at ? piece : len - at;
		enum frame_result result;
		struct frame_value message;

		must(inbox_append(&inbox, bytes + at, n) == 0);
		while ((result = inbox_next(&inbox, &message)) != FRAME_MORE) {
			say(said, &inbox.frame, result);
			if (result != FRAME_MESSAGE)
				continue;
			must(memcmp(message.bytes, bytes + inbox.frame.at, message.len) == 0);
			look_for_members(message);
		}
		must(inbox_waiting(&inbox) == 0);
	}
	inbox_finish(&inbox);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct str whole = { 0 }, pieces = { 0 };
	struct limits limits;
	const char *bytes;
	size_t piece, len;

	if (size < 3)
		return 0;
	limits.max_bytes = 1 + data[0] * 4;
	limits.max_depth = 1 + data[1];
	piece = 1 + data[2] % 16;
	bytes = (const char *)data + 3;
	len = size - 3;
	scan_whole(&limits, bytes, len, &whole);
	scan_pieces(&limits, bytes, len, piece, &pieces);
	str_append(&whole, "");
	str_append(&pieces, "");
	must(strcmp(whole.text, pieces.text) == 0);
	look_for_members((struct frame_value){ bytes, len });
	str_finish(&whole);
	str_finish(&pieces);
	return 0;
}
