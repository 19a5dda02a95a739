/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/peer.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "qmp/channel.h"
#include "qmp/inbox.h"

/* Bytes that may wait behind a command that is not answered yet. */
#define WAITING_MAX (64UL * 1024)

struct peer {
	struct peer *next;
	struct channel *channel;
	struct inbox inbox;
	const struct peer_ops *ops;
	void *data;
	struct qmp_request *open; /* handed to the owner, not answered */
	bool negotiated;
	bool working; /* in work(), which goes on when the owner has answered */
	bool ended;   /* the client sends no more */
	bool freed;
};

static void send_text(struct peer *peer, struct str *text)
{
	if (text->failed)
		channel_break(peer->channel, "out of memory");
	else
		channel_send(peer->channel, text->text, text->len, -1);
	str_finish(text);
}

static void send_error(struct peer *peer, const char *class, const char *desc, const char *id)
{
	struct str text = { 0 };

	message_error(&text, class, desc, id);
	send_text(peer, &text);
}

static void report_fault(struct peer *peer, enum frame_result fault)
{
	char desc[128];

	snprintf(desc, sizeof(desc), "JSON parse error, %s (byte %llu of this connection)",
		frame_fault_text(fault), (unsigned long long)peer->inbox.frame.at);
	send_error(peer, QMP_CLASS_GENERIC, desc, NULL);
}

static void negotiate(struct peer *peer, const struct command *command)
{
	json_t *nothing = json_object();
	struct str text = { 0 };

	peer->negotiated = true;
	message_return(&text, nothing, command->id);
	send_text(peer, &text);
	json_decref(nothing);
}

static void hand_over(struct peer *peer, struct command *command)
{
	struct qmp_request *request = calloc(1, sizeof(*request));

	if (!request) {
		send_error(peer, QMP_CLASS_GENERIC, "out of memory", command->id);
		return;
	}
	request->peer = peer;
	request->command = *command;
	*command = (struct command){ 0 };
	peer->open = request;
	peer->ops->on_command(peer->data, request);
}

static void take_message(struct peer *peer, struct frame_value message)
{
	const char *refusal, *class = QMP_CLASS_GENERIC;
	struct command command;
	struct error err;

	if (command_parse(message.bytes, message.len, &command, &err) < 0)
		refusal = err.text;
	else
		refusal = command_refuse(&command, peer->negotiated, &class);
	if (refusal)
		send_error(peer, class, refusal, command.id);
	else if (command_is_negotiation(&command))
		negotiate(peer, &command);
	else
		hand_over(peer, &command);
	command_finish(&command);
}

/* After each step: what the client may send now, and whether it is done. */
static void settle(struct peer *peer)
{
	size_t waiting = inbox_waiting(&peer->inbox);

	if (peer->freed)
		return;
	channel_set_reading(peer->channel, !peer->open || waiting < WAITING_MAX);
	if (peer->open)
		return;
	if (waiting)
		channel_ask_turn(peer->channel);
	else if (peer->ended)
		channel_end(peer->channel);
}

static bool may_work(const struct peer *peer)
{
	return !peer->freed && !peer->open && !channel_is_broken(peer->channel);
}

static void work(struct peer *peer)
{
	enum frame_result result = FRAME_MESSAGE;
	struct frame_value message;

	peer->working = true;
	while (result != FRAME_MORE && may_work(peer)) {
		result = inbox_next(&peer->inbox, &message);
		if (result == FRAME_MESSAGE)
			take_message(peer, message);
		else if (result == FRAME_ARRAY)
			send_error(
				peer, QMP_CLASS_GENERIC, "QMP input must be a JSON object", NULL);
		else if (result != FRAME_MORE)
			report_fault(peer, result);
	}
	peer->working = false;
	settle(peer);
}

static void on_bytes(void *data, const char *bytes, size_t len)
{
	struct peer *peer = data;

	if (inbox_append(&peer->inbox, bytes, len) < 0)
		channel_break(peer->channel, "out of memory");
	else
		work(peer);
}

static void on_end(void *data)
{
	struct peer *peer = data;

	peer->ended = true;
	work(peer);
}

static void on_turn(void *data)
{
	work(data);
}

static void on_closed(void *data, const char *reason)
{
	struct peer *peer = data;

	(void)reason; /* who has gone does not care, and we do not log */
	peer->ops->on_closed(peer->data, peer);
}

static void on_freed(void *data)
{
	struct peer *peer = data;

	inbox_finish(&peer->inbox);
	free(peer);
}

static const struct channel_ops channel_callbacks = {
	.on_bytes = on_bytes,
	.on_end = on_end,
	.on_turn = on_turn,
	.on_closed = on_closed,
	.on_freed = on_freed,
};

int peer_new(uv_loop_t *loop, int fd, const struct peer_options *options, struct peer **ret)
{
	_cleanup_(freep) struct peer *peer = calloc(1, sizeof(*peer));
	struct channel_options channel = {
		.ops = &channel_callbacks,
		.data = peer,
		.out_max = QMP_SERVER_OUT_MAX,
	};
	struct str greeting = { 0 };
	int r;

	if (!peer)
		return -ENOMEM;
	peer->ops = options->ops;
	peer->data = options->data;
	inbox_init(&peer->inbox, QMP_SERVER_MESSAGE_MAX, QMP_SERVER_DEPTH_MAX);
	r = channel_new(loop, fd, &channel, &peer->channel, NULL);
	if (r < 0)
		return r;
	message_greeting(&greeting, options->qemu);
	send_text(peer, &greeting);
	*ret = take_ptr(peer);
	return 0;
}

void peer_free(struct peer *peer)
{
	if (!peer || peer->freed)
		return;
	peer->freed = true;
	if (peer->open)
		peer->open->peer = NULL;
	peer->open = NULL;
	channel_free(peer->channel);
}

void peer_send_event(struct peer *peer, const char *bytes, size_t len)
{
	if (peer->negotiated)
		channel_send(peer->channel, bytes, len, -1);
}

struct peer *peer_next(const struct peer *peer)
{
	return peer->next;
}

void peer_set_next(struct peer *peer, struct peer *next)
{
	peer->next = next;
}

void peer_answer(struct peer *peer, struct str *text)
{
	send_text(peer, text);
	peer->open = NULL;
	if (!peer->working)
		settle(peer);
}
