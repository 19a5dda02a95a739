/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/call_queue.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "qmp/message.h"

void call_queue_init(struct call_queue *queue)
{
	*queue = (struct call_queue){ 0 };
	queue->end = &queue->first;
}

struct pending *call_queue_add(
	struct call_queue *queue, const char *command, const struct qmp_call *call, uint64_t now_ms)
{
	size_t size = strlen(command) + 1;
	struct pending *pending = calloc(1, sizeof(*pending) + size);

	if (!pending)
		return NULL;
	memcpy(pending->command, command, size);
	pending->call = *call;
	if (call->timeout_ms)
		pending->deadline_ms = now_ms + call->timeout_ms;
	*queue->end = pending;
	queue->end = &pending->next;
	queue->n++;
	return pending;
}

struct pending *call_queue_take(struct call_queue *queue)
{
	struct pending *pending = queue->first;

	if (!pending)
		return NULL;
	queue->first = pending->next;
	if (!queue->first)
		queue->end = &queue->first;
	queue->n--;
	return pending;
}

void call_queue_undo(struct call_queue *queue, struct pending *last)
{
	struct pending **at = &queue->first;

	while (*at != last)
		at = &(*at)->next;
	*at = NULL;
	queue->end = at;
	queue->n--;
	free(last);
}

struct pending *call_queue_expire(struct call_queue *queue, uint64_t now_ms)
{
	struct pending *pending;

	for (pending = queue->first; pending; pending = pending->next) {
		if (!pending->deadline_ms || pending->deadline_ms > now_ms)
			continue;
		pending->deadline_ms = 0;
		return pending;
	}
	return NULL;
}

uint64_t call_queue_next_deadline(const struct call_queue *queue)
{
	const struct pending *pending;
	uint64_t next = 0;

	for (pending = queue->first; pending; pending = pending->next) {
		if (pending->deadline_ms && (!next || pending->deadline_ms < next))
			next = pending->deadline_ms;
	}
	return next;
}

static void tell(struct pending *pending, const struct qmp_reply *reply)
{
	bool told = pending->told;

	pending->told = true;
	if (!told && pending->call.fn)
		pending->call.fn(pending->call.data, reply);
}

void pending_fail(struct pending *pending, int result, const char *words)
{
	tell(pending, &(struct qmp_reply){ .result = result, .words = words });
}

static void read_answer(json_t *tree, struct qmp_reply *reply)
{
	json_t *error = json_object_get(tree, "error");
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *words = json_string_value(json_object_get(error, "desc"));

	if (!error) {
		reply->result = QMP_DONE;
		reply->value = json_object_get(tree, "return");
		reply->words = "done";
		return;
	}
	reply->result = QMP_REFUSED;
	reply->class = class ? class : QMP_CLASS_GENERIC;
	reply->words = words ? words : "refused without words";
}

void pending_answer(struct pending *pending, struct frame_value message)
{
	struct qmp_reply reply = { .raw = message.bytes, .raw_len = message.len };
	json_t *tree = NULL;
	struct error err;

	if (pending->told || !pending->call.fn)
		return;
	if (message_parse(message.bytes, message.len, &tree, &err) == 0) {
		read_answer(tree, &reply);
	} else {
		reply.result = -EBADMSG;
		reply.words = err.text;
	}
	tell(pending, &reply);
	json_decref(tree);
}
