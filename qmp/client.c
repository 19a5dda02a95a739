/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/client.h"

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "qmp/call_queue.h"
#include "qmp/channel.h"
#include "qmp/inbox.h"
#include "qmp/message.h"

/* QEMU's own limit for a message; replies such as query-qmp-schema are large. */
#define MESSAGE_MAX (64UL * 1024 * 1024)
#define OUT_MAX     (4UL * 1024 * 1024)

enum client_state {
	CLIENT_CONNECTED, /* waits for the greeting */
	CLIENT_NEGOTIATING,
	CLIENT_READY,
	CLIENT_CLOSED,
};

struct qmp_client {
	struct channel *channel;
	struct inbox inbox;
	struct call_queue calls;
	uv_timer_t timer;
	const struct qmp_client_ops *ops;
	void *data;
	enum client_state state;
	bool freed;
	json_t *greeting; /* until it was handed over */
};

static void arm_timer(struct qmp_client *client);

/* A callback may make calls or free the client: so take each out before it is told. */
static void fail_calls(struct qmp_client *client, const char *reason)
{
	struct pending *pending;

	while ((pending = call_queue_take(&client->calls))) {
		pending_fail(pending, -ECONNRESET, reason);
		free(pending);
	}
}

static void on_timer(uv_timer_t *timer)
{
	struct qmp_client *client = timer->data;
	struct pending *pending;

	while (!client->freed &&
		(pending = call_queue_expire(&client->calls, uv_now(timer->loop)))) {
		char words[160];

		snprintf(words, sizeof(words), "no answer to '%s' within %llu ms", pending->command,
			(unsigned long long)pending->call.timeout_ms);
		pending_fail(pending, -ETIMEDOUT, words);
	}
	arm_timer(client);
}

static void arm_timer(struct qmp_client *client)
{
	uint64_t next = call_queue_next_deadline(&client->calls), now;

	if (client->freed)
		return;
	now = uv_now(client->timer.loop);
	if (next)
		uv_timer_start(&client->timer, on_timer, next > now ? next - now : 0, 0);
	else
		uv_timer_stop(&client->timer);
}

static int send_call(struct qmp_client *client, const char *command, json_t *arguments,
	const struct qmp_call *call)
{
	struct pending *pending;
	struct str text = { 0 };
	int r;

	if (client->calls.n >= QMP_CALLS_MAX)
		return -EBUSY;
	/* the loop's clock stands still while callbacks run */
	if (call->timeout_ms)
		uv_update_time(client->timer.loop);
	pending = call_queue_add(&client->calls, command, call, uv_now(client->timer.loop));
	if (!pending)
		return -ENOMEM;
	message_command(&text, command, arguments);
	r = text.failed ? -ENOMEM : channel_send(client->channel, text.text, text.len, call->fd);
	str_finish(&text);
	if (r < 0)
		call_queue_undo(&client->calls, pending);
	else
		arm_timer(client);
	return r;
}

int qmp_client_call(struct qmp_client *client, const char *command, json_t *arguments,
	const struct qmp_call *call)
{
	static const struct qmp_call nobody_asks = { .fd = -1 };
	int r = -ENOTCONN;

	if (client->state == CLIENT_READY && !client->freed)
		r = send_call(client, command, arguments, call ? call : &nobody_asks);
	json_decref(arguments);
	return r;
}

static void on_negotiated(void *data, const struct qmp_reply *reply)
{
	struct qmp_client *client = data;
	json_t *greeting = take_ptr(client->greeting);
	char reason[96];

	if (reply->result == QMP_DONE) {
		client->state = CLIENT_READY;
		if (client->ops->on_ready)
			client->ops->on_ready(client->data, greeting);
	} else if (reply->result != -ECONNRESET) {
		snprintf(reason, sizeof(reason), "the QMP negotiation failed: %s", reply->words);
		channel_break(client->channel, reason);
	}
	json_decref(greeting);
}

static void take_greeting(struct qmp_client *client, struct frame_value message)
{
	const struct qmp_call call = { .fn = on_negotiated, .data = client, .fd = -1 };
	struct error err;

	if (!frame_find_member(message.bytes, message.len, "QMP").bytes) {
		channel_break(client->channel, "no QMP greeting: that is no QMP server");
		return;
	}
	if (message_parse(message.bytes, message.len, &client->greeting, &err) < 0) {
		channel_break(client->channel, err.text);
		return;
	}
	client->state = CLIENT_NEGOTIATING;
	if (send_call(client, "qmp_capabilities", NULL, &call) < 0)
		channel_break(client->channel, "cannot send a command");
}

static void take_event(struct qmp_client *client, struct frame_value message)
{
	const char *name;
	struct error err;
	json_t *event;

	if (!client->ops->on_event)
		return;
	if (message_parse(message.bytes, message.len, &event, &err) < 0) {
		channel_break(client->channel, err.text);
		return;
	}
	name = json_string_value(json_object_get(event, "event"));
	if (name)
		client->ops->on_event(client->data, name, event, message.bytes, message.len);
	else
		channel_break(client->channel, "an event without a name");
	json_decref(event);
}

static void take_reply(struct qmp_client *client, struct frame_value message)
{
	struct pending *pending = call_queue_take(&client->calls);

	if (!pending) {
		channel_break(client->channel, "an answer to no question");
		return;
	}
	arm_timer(client);
	pending_answer(pending, message);
	free(pending);
}

static bool has(struct frame_value message, const char *member)
{
	return frame_find_member(message.bytes, message.len, member).bytes;
}

static void take_message(struct qmp_client *client, struct frame_value message)
{
	if (client->state == CLIENT_CONNECTED)
		take_greeting(client, message);
	else if (has(message, "event"))
		take_event(client, message);
	else if (has(message, "return") || has(message, "error"))
		take_reply(client, message);
	else
		channel_break(client->channel, "a message that is neither an answer nor an event");
}

static void break_garbled(struct qmp_client *client, enum frame_result fault)
{
	char reason[96];

	snprintf(reason, sizeof(reason), "garbled at byte %llu: %s",
		(unsigned long long)client->inbox.frame.at, frame_fault_text(fault));
	channel_break(client->channel, reason);
}

static void on_bytes(void *data, const char *bytes, size_t len)
{
	struct qmp_client *client = data;
	enum frame_result result = FRAME_MESSAGE;
	struct frame_value message;

	if (inbox_append(&client->inbox, bytes, len) < 0) {
		channel_break(client->channel, "out of memory");
		return;
	}
	while (result == FRAME_MESSAGE && !client->freed && !channel_is_broken(client->channel)) {
		result = inbox_next(&client->inbox, &message);
		if (result == FRAME_MESSAGE)
			take_message(client, message);
		else if (result != FRAME_MORE)
			break_garbled(client, result);
	}
}

static void on_closed(void *data, const char *reason)
{
	struct qmp_client *client = data;

	client->state = CLIENT_CLOSED;
	uv_timer_stop(&client->timer);
	inbox_finish(&client->inbox);
	fail_calls(client, reason);
	if (!client->freed && client->ops->on_closed)
		client->ops->on_closed(client->data, reason);
}

static const struct channel_ops channel_callbacks = {
	.on_bytes = on_bytes,
	.on_closed = on_closed,
};

int qmp_client_new(uv_loop_t *loop, int fd, const struct qmp_client_ops *ops, void *data,
	struct qmp_client **ret, struct error *err)
{
	_cleanup_(freep) struct qmp_client *client = calloc(1, sizeof(*client));
	struct channel_options options = { .ops = &channel_callbacks, .out_max = OUT_MAX };
	int r;

	if (!client)
		return error_set(err, -ENOMEM, "out of memory");
	options.data = client;
	client->ops = ops;
	client->data = data;
	call_queue_init(&client->calls);
	inbox_init(&client->inbox, MESSAGE_MAX, FRAME_DEPTH_MAX);
	r = channel_new(loop, fd, &options, &client->channel, err);
	if (r < 0)
		return r;
	uv_timer_init(loop, &client->timer);
	client->timer.data = client;
	*ret = take_ptr(client);
	return 0;
}

static void on_timer_closed(uv_handle_t *handle)
{
	struct qmp_client *client = handle->data;

	inbox_finish(&client->inbox);
	json_decref(client->greeting);
	free(client);
}

void qmp_client_free(struct qmp_client *client)
{
	if (!client || client->freed)
		return;
	client->freed = true;
	channel_free(client->channel);
	uv_close((uv_handle_t *)&client->timer, on_timer_closed);
	fail_calls(client, "the connection was given up");
}
