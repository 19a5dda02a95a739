/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/*
 * Where a message ends. QMP has no frames: a message is over when its brackets
 * are closed. The scanner looks at each byte once, keeps no bytes and builds no
 * tree, so it does not care how the stream was cut into reads. It takes what QMP
 * takes: any white space, several messages in a row, strings in either quotes.
 * What is between the brackets is a JSON parser's business.
 *
 * The same stream gives the same results whatever way it is cut.
 */
#define FRAME_DEPTH_MAX 1024

enum frame_result {
	FRAME_MORE,    /* all bytes taken, no message has ended */
	FRAME_MESSAGE, /* an object ended with the last byte taken */
	FRAME_ARRAY,   /* an array ended there: whole, but no QMP message */
	/* What follows says what is wrong at the byte that frame->at names. */
	FRAME_BAD,   /* between messages: no bracket; in one: a wrong bracket, or a control
			character that is no white space or in a string. What is left of the
			line is passed over */
	FRAME_LARGE, /* the message is over max_bytes: passed over up to its end */
	FRAME_DEEP,  /* nested too deep: likewise */
	FRAME_RESET, /* a 0xff byte: all before it is forgotten, what follows is new. This is how
			a QMP peer gets out of any of the above */
};

struct frame {
	size_t max_bytes;
	unsigned int max_depth;

	uint64_t offset; /* bytes taken since the stream began */
	uint64_t at;     /* offset of the first byte of the message, or of the fault */
	size_t length;   /* bytes of the message, up to now or in the end; 0: none is open */

	unsigned int state;
	unsigned int depth;
	char quote;
	bool reported; /* garbage of this line was reported */
	bool dropped;  /* the open message was reported as too large or too deep */
	uint8_t is_array[FRAME_DEPTH_MAX / 8];
};

/* @max_depth is at most FRAME_DEPTH_MAX; a message of @max_bytes still passes. */
void frame_init(struct frame *frame, size_t max_bytes, unsigned int max_depth);

/*
 * Take bytes until something is to be said.
 *
 * @bytes, @len	those that follow the last ones taken
 * @used	how many were taken: all with FRAME_MORE
 */
enum frame_result frame_scan(struct frame *frame, const char *bytes, size_t len, size_t *used);

/* What a fault is called: static words, e.g. "nested too deep". */
const char *frame_fault_text(enum frame_result result);

/* A part of a message, in the message's own bytes. */
struct frame_value {
	const char *bytes; /* NULL: not there */
	size_t len;
};

/*
 * Find a member of a message, without a tree (a reply may be 64 MiB, and may have
 * numbers that jansson refuses).
 *
 * @bytes, @len	a message that frame_scan() has found
 * @name	plain ASCII; a key that is spelled with escapes is found too
 *
 * Returns the first such member's value with its quotes or brackets; on bytes
 * that are no JSON object nothing or something, but inside @bytes.
 */
struct frame_value frame_find_member(const char *bytes, size_t len, const char *name);
