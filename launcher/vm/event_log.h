/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

/*
 * The last events of a VM, QEMU's and ours, each with a number that grows for
 * as long as the VM lives. Old ones are dropped for new ones.
 */
#define EVENT_LOG_ROOM  128
#define EVENT_LOG_BYTES (64 * 1024)

struct event_log {
	struct {
		uint64_t seq;
		char *text; /* one JSON object */
		size_t len;
	} items[EVENT_LOG_ROOM]; /* a ring; the slot of an event is seq % EVENT_LOG_ROOM */
	uint64_t next;           /* the number of the next event; the first is 1 */
	uint64_t oldest;
	size_t bytes;
};

void event_log_init(struct event_log *log);
void event_log_finish(struct event_log *log);

/*
 * Note an event and number it.
 *
 * @object	a JSON object as QEMU sent it
 * @ret		the same with a first member "vmlatch-seq"; valid until the next
 *		call; NULL if there is no memory or @object is no object
 */
const char *event_log_add(struct event_log *log, const char *object, size_t len, size_t *ret_len);

/* The event of that number, or NULL if it is gone or yet to come. */
const char *event_log_get(const struct event_log *log, uint64_t seq, size_t *len);
