/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/frame.h"

enum state {
	BETWEEN, /* messages */
	WORD,    /* of garbage between messages */
	INSIDE,  /* a message, outside its strings */
	STRING,  /* in a message, or as garbage (depth 0): brackets in it do not count */
	ESCAPE,  /* the byte after a backslash in a string */
	LINE,    /* the rest of a line that made no sense */
};

#define RESET_BYTE '\xff'

void frame_init(struct frame *frame, size_t max_bytes, unsigned int max_depth)
{
	*frame = (struct frame){
		.max_bytes = max_bytes,
		.max_depth = max_depth < FRAME_DEPTH_MAX ? max_depth : FRAME_DEPTH_MAX,
	};
}

const char *frame_fault_text(enum frame_result result)
{
	switch (result) {
	case FRAME_ARRAY:
		return "an array where an object is expected";
	case FRAME_BAD:
		return "a byte that does not belong there";
	case FRAME_LARGE:
		return "message too large";
	case FRAME_DEEP:
		return "nested too deep";
	case FRAME_RESET:
		return "reset by a 0xff byte";
	default:
		return "no fault";
	}
}

static bool is_space(char c)
{
	return c == ' ' || c == '\n' || c == '\r' || c == '\t';
}

static bool is_control(char c)
{
	return (unsigned char)c < 0x20;
}

static bool level_is_array(const struct frame *frame, unsigned int level)
{
	return frame->is_array[level / 8] >> level % 8 & 1;
}

static void close_message(struct frame *frame, enum state state)
{
	frame->state = state;
	frame->depth = 0;
	frame->dropped = false;
}

/* Say it once: a message that was given up has been spoken about. */
static enum frame_result fault(struct frame *frame, enum frame_result result)
{
	bool said = frame->dropped;

	frame->length = 0;
	frame->dropped = true;
	if (!said)
		frame->at = frame->offset;
	return said ? FRAME_MORE : result;
}

static enum frame_result spoil_line(struct frame *frame, char c)
{
	enum frame_result result = fault(frame, FRAME_BAD);

	close_message(frame, c == '\n' ? BETWEEN : LINE);
	return result;
}

static enum frame_result open_bracket(struct frame *frame, char c)
{
	unsigned int level = frame->depth++;

	if (level >= frame->max_depth)
		return fault(frame, FRAME_DEEP);
	if (c == '[')
		frame->is_array[level / 8] |= 1 << level % 8;
	else
		frame->is_array[level / 8] &= ~(1 << level % 8);
	return FRAME_MORE;
}

static enum frame_result close_bracket(struct frame *frame, char c)
{
	unsigned int level = frame->depth - 1;
	bool dropped = frame->dropped;

	/* Beyond the limit we count, but no longer know which bracket was opened. */
	if (level < frame->max_depth && level_is_array(frame, level) != (c == ']'))
		return spoil_line(frame, c);
	frame->depth = level;
	if (level)
		return FRAME_MORE;
	close_message(frame, BETWEEN);
	if (dropped)
		return FRAME_MORE;
	return c == ']' ? FRAME_ARRAY : FRAME_MESSAGE;
}

static enum frame_result take_inside(struct frame *frame, char c)
{
	switch (c) {
	case '{':
	case '[':
		return open_bracket(frame, c);
	case '}':
	case ']':
		return close_bracket(frame, c);
	case '"':
	case '\'':
		frame->state = STRING;
		frame->quote = c;
		return FRAME_MORE;
	default:
		/* jansson would pass over a NUL here and there */
		return is_control(c) && !is_space(c) ? spoil_line(frame, c) : FRAME_MORE;
	}
}

static enum frame_result take_garbage(struct frame *frame, char c)
{
	bool said = frame->reported;

	if (!said)
		frame->at = frame->offset;
	frame->reported = true;
	frame->quote = c;
	frame->state = c == '"' || c == '\'' ? STRING : WORD;
	return said ? FRAME_MORE : FRAME_BAD;
}

static enum frame_result take_between(struct frame *frame, char c)
{
	if (c == '{' || c == '[') {
		frame->at = frame->offset;
		frame->length = 0;
		frame->state = INSIDE;
		frame->reported = false;
		return open_bracket(frame, c);
	}
	if (is_space(c)) {
		frame->state = BETWEEN;
		frame->reported = frame->reported && c != '\n';
		return FRAME_MORE;
	}
	if (frame->state == WORD && c != '"' && c != '\'')
		return FRAME_MORE;
	return take_garbage(frame, c);
}

static enum frame_result take_string(struct frame *frame, char c)
{
	if (is_control(c) && frame->depth)
		return spoil_line(frame, c);
	if (is_control(c)) {
		frame->state = BETWEEN;
		frame->reported = c != '\n';
	} else if (frame->state == ESCAPE) {
		frame->state = STRING;
	} else if (c == '\\') {
		frame->state = ESCAPE;
	} else if (c == frame->quote) {
		frame->state = frame->depth ? INSIDE : BETWEEN;
	}
	return FRAME_MORE;
}

static enum frame_result take_reset(struct frame *frame)
{
	close_message(frame, BETWEEN);
	frame->reported = false;
	frame->length = 0;
	frame->at = frame->offset;
	return FRAME_RESET;
}

static enum frame_result take(struct frame *frame, char c)
{
	if (c == RESET_BYTE)
		return take_reset(frame);
	switch (frame->state) {
	case INSIDE:
		return take_inside(frame, c);
	case STRING:
	case ESCAPE:
		return take_string(frame, c);
	case LINE:
		if (c == '\n')
			frame->state = BETWEEN;
		return FRAME_MORE;
	default:
		return take_between(frame, c);
	}
}

/* The byte that opens a message makes its length 1, the one that closes it counts too. */
static enum frame_result take_counted(struct frame *frame, char c)
{
	bool open = frame->depth && !frame->dropped;
	enum frame_result result;

	if (open && frame->length >= frame->max_bytes && c != RESET_BYTE) {
		result = fault(frame, FRAME_LARGE);
		take(frame, c);
		return result;
	}
	result = take(frame, c);
	if (result == FRAME_MESSAGE || result == FRAME_ARRAY || (frame->depth && !frame->dropped))
		frame->length++;
	else
		frame->length = 0;
	return result;
}

enum frame_result frame_scan(struct frame *frame, const char *bytes, size_t len, size_t *used)
{
	enum frame_result result = FRAME_MORE;
	size_t i;

	if (!frame->depth)
		frame->length = 0;
	for (i = 0; i < len && result == FRAME_MORE; i++) {
		result = take_counted(frame, bytes[i]);
		frame->offset++;
	}
	*used = i;
	return result;
}
