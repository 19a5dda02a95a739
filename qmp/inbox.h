/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "qmp/frame.h"

/*
 * Bytes that a peer has sent, cut into messages. Holds memory only while a
 * message is incomplete or not yet looked at.
 */
struct inbox {
	struct frame frame;
	char *bytes;
	size_t begin;   /* of the open message, or of what is not yet looked at */
	size_t scanned; /* up to here the scanner has looked */
	size_t len;
	size_t size;
};

void inbox_init(struct inbox *inbox, size_t max_bytes, unsigned int max_depth);
void inbox_finish(struct inbox *inbox);

int inbox_append(struct inbox *inbox, const char *bytes, size_t len); /* 0 or -ENOMEM */

/*
 * The next message, or the next fault: inbox->frame.at tells where.
 *
 * @ret	set with FRAME_MESSAGE; its bytes are good until the next call for this
 *	inbox
 *
 * Returns a frame_result; FRAME_MORE: nothing more for now.
 */
enum frame_result inbox_next(struct inbox *inbox, struct frame_value *ret);

/* How many bytes nobody has looked at. */
size_t inbox_waiting(const struct inbox *inbox);
