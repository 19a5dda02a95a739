/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "qmp/client.h"
#include "qmp/frame.h"

/*
 * Calls that wait for their answers. Answers carry no id of ours: the first
 * answer belongs to the first call. So a call that has timed out keeps its
 * place, for the late answer.
 */
struct pending {
	struct pending *next;
	struct qmp_call call;
	uint64_t deadline_ms; /* in the loop's time; 0: none, or over */
	bool told;            /* that time is up; what comes now is passed over */
	char command[];
};

struct call_queue {
	struct pending *first;
	struct pending **end;
	size_t n;
};

void call_queue_init(struct call_queue *queue);

/* @now_ms is the loop's time. The entry, which the queue owns; NULL: no memory. */
struct pending *call_queue_add(struct call_queue *queue, const char *command,
	const struct qmp_call *call, uint64_t now_ms);

/* Take out the first; the caller frees it. NULL: none. */
struct pending *call_queue_take(struct call_queue *queue);

/* Take out the one that was added last; for a call that could not be sent. */
void call_queue_undo(struct call_queue *queue, struct pending *last);

/* One whose time is up, once (it keeps its place); NULL: none. */
struct pending *call_queue_expire(struct call_queue *queue, uint64_t now_ms);

/* When the next one's time is up; 0: never. */
uint64_t call_queue_next_deadline(const struct call_queue *queue);

/*
 * Tell who called; at most once, later ones do nothing. Within, @pending may
 * come to its end (the client is freed): it is not touched afterwards.
 *
 * @message	QEMU's answer
 */
void pending_answer(struct pending *pending, struct frame_value message);
void pending_fail(struct pending *pending, int result, const char *words);
