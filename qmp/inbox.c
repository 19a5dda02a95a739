/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/inbox.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"

#define FIRST_SIZE 512

void inbox_init(struct inbox *inbox, size_t max_bytes, unsigned int max_depth)
{
	*inbox = (struct inbox){ 0 };
	frame_init(&inbox->frame, max_bytes, max_depth);
}

void inbox_finish(struct inbox *inbox)
{
	free(take_ptr(inbox->bytes));
	inbox->begin = inbox->scanned = inbox->len = inbox->size = 0;
}

size_t inbox_waiting(const struct inbox *inbox)
{
	return inbox->len - inbox->scanned;
}

static void move_to_front(struct inbox *inbox)
{
	memmove(inbox->bytes, inbox->bytes + inbox->begin, inbox->len - inbox->begin);
	inbox->len -= inbox->begin;
	inbox->scanned -= inbox->begin;
	inbox->begin = 0;
}

int inbox_append(struct inbox *inbox, const char *bytes, size_t len)
{
	size_t size = inbox->size ? inbox->size : FIRST_SIZE;
	char *grown;

	if (inbox->begin)
		move_to_front(inbox);
	if (inbox->len + len > inbox->size) {
		while (size < inbox->len + len)
			size *= 2;
		grown = realloc(inbox->bytes, size);
		if (!grown)
			return -ENOMEM;
		inbox->bytes = grown;
		inbox->size = size;
	}
	memcpy(inbox->bytes + inbox->len, bytes, len);
	inbox->len += len;
	return 0;
}

enum frame_result inbox_next(struct inbox *inbox, struct frame_value *ret)
{
	enum frame_result result;
	size_t used = 0;

	if (!inbox->bytes)
		return FRAME_MORE;
	result = frame_scan(
		&inbox->frame, inbox->bytes + inbox->scanned, inbox_waiting(inbox), &used);
	inbox->scanned += used;
	inbox->begin = inbox->scanned - inbox->frame.length;
	if (result == FRAME_MESSAGE) {
		*ret = (struct frame_value){ inbox->bytes + inbox->begin, inbox->frame.length };
		inbox->begin = inbox->scanned;
	} else if (result == FRAME_MORE && inbox->begin == inbox->len) {
		inbox_finish(inbox);
	}
	return result;
}
