/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/channel.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "qmp/outbox.h"

#define READ_SIZE    8192
#define READ_ROUNDS  8 /* then others have their turn */
#define RECEIVED_MAX 4 /* descriptors with one read; QMP knows one a command */

struct channel {
	uv_poll_t poll;
	const struct channel_ops *ops;
	void *data;
	int fd;
	struct outbox out;
	int received[RECEIVED_MAX];
	size_t n_received;
	size_t n_taken;
	int events; /* that the loop watches for */
	bool reading;
	bool turn_asked;
	bool ended;  /* the peer sends no more */
	bool ending; /* channel_end() */
	bool broken;
	bool closed; /* on_closed was called */
	bool freed;
	char reason[96];
};

bool channel_is_broken(const struct channel *channel)
{
	return channel->broken || channel->ending || channel->freed;
}

static bool wants_bytes(const struct channel *channel)
{
	return channel->reading && !channel->ended && !channel_is_broken(channel);
}

static bool wants_to_write(const struct channel *channel)
{
	return !outbox_is_empty(&channel->out) || channel->turn_asked;
}

static void on_poll(uv_poll_t *poll, int status, int events);

static void update(struct channel *channel)
{
	int events;

	if (channel->closed)
		events = 0;
	else if (channel->broken)
		events = UV_READABLE;
	else
		events = (wants_bytes(channel) ? UV_READABLE : 0) |
			 (wants_to_write(channel) ? UV_WRITABLE : 0);
	if (channel->freed || events == channel->events)
		return;
	channel->events = events;
	if (events)
		uv_poll_start(&channel->poll, events, on_poll);
	else
		uv_poll_stop(&channel->poll);
}

/*
 * The end is told from the loop. A socket that is shut down is readable at once,
 * so that is what brings us there: no handle is needed for it.
 */
void channel_break(struct channel *channel, const char *reason)
{
	if (channel->broken || channel->freed)
		return;
	channel->broken = true;
	snprintf(channel->reason, sizeof(channel->reason), "%s", reason);
	shutdown(channel->fd, SHUT_RDWR);
	update(channel);
}

static void break_errno(struct channel *channel, int error)
{
	bool gone = error == EPIPE || error == ECONNRESET;

	channel_break(channel, gone ? "the peer has closed the connection" : strerror(error));
}

static bool peer_is_gone(const struct channel *channel)
{
	struct pollfd state = { .fd = channel->fd };

	return poll(&state, 1, 0) > 0 && state.revents & (POLLHUP | POLLERR);
}

static void take_end(struct channel *channel)
{
	if (!channel->ops->on_end || peer_is_gone(channel)) {
		channel_break(channel, "the peer has closed the connection");
		return;
	}
	channel->ended = true;
	channel->ops->on_end(channel->data);
}

static void give_bytes(struct channel *channel, const char *bytes, size_t len)
{
	channel->n_taken = 0;
	channel->ops->on_bytes(channel->data, bytes, len);
	fd_close_many(channel->received, channel->n_received);
	channel->n_received = 0;
}

static void receive(struct channel *channel)
{
	char bytes[READ_SIZE];
	int round;

	for (round = 0; round < READ_ROUNDS && wants_bytes(channel); round++) {
		ssize_t n;

		channel->n_received = RECEIVED_MAX;
		n = fd_receive(
			channel->fd, bytes, sizeof(bytes), channel->received, &channel->n_received);
		if (n == -EAGAIN)
			return;
		if (n < 0)
			break_errno(channel, -n);
		else if (n == 0)
			take_end(channel);
		else
			give_bytes(channel, bytes, n);
		if (n < (ssize_t)sizeof(bytes))
			return; /* nothing is left, or a descriptor is next */
	}
}

static void write_waiting(struct channel *channel)
{
	int r = outbox_flush(&channel->out, channel->fd);

	if (r < 0)
		break_errno(channel, -r);
	if (channel->broken || !outbox_is_empty(&channel->out))
		return;
	if (channel->ending) {
		channel_break(channel, "closed by us");
	} else if (channel->turn_asked) {
		channel->turn_asked = false;
		channel->ops->on_turn(channel->data);
	}
}

static void on_poll(uv_poll_t *poll, int status, int events)
{
	struct channel *channel = poll->data;

	/* libuv stops at a socket error; what was received before it still counts */
	if (status < 0)
		channel->events = 0;
	if (status < 0 && !wants_bytes(channel))
		channel_break(channel, "the peer has closed the connection");
	if (!channel->broken && events & UV_WRITABLE)
		write_waiting(channel);
	if (events & UV_READABLE || status < 0)
		receive(channel);
	if (channel->broken && !channel->closed && !channel->freed) {
		channel->closed = true;
		channel->ops->on_closed(channel->data, channel->reason);
	}
	update(channel);
}

int channel_new(uv_loop_t *loop, int fd, const struct channel_options *options,
	struct channel **ret, struct error *err)
{
	_cleanup_(freep) struct channel *channel = calloc(1, sizeof(*channel));
	int r;

	if (!channel)
		return error_set(err, -ENOMEM, "out of memory");
	channel->ops = options->ops;
	channel->data = options->data;
	channel->fd = fd;
	channel->reading = true;
	outbox_init(&channel->out, options->out_max);
	r = uv_poll_init(loop, &channel->poll, fd);
	if (r < 0)
		return error_set(err, r, "watch a socket: %s", uv_strerror(r));
	channel->poll.data = channel;
	update(channel);
	*ret = take_ptr(channel);
	return 0;
}

static void on_poll_closed(uv_handle_t *handle)
{
	struct channel *channel = handle->data;

	if (channel->ops->on_freed)
		channel->ops->on_freed(channel->data);
	free(channel);
}

void channel_free(struct channel *channel)
{
	if (!channel || channel->freed)
		return;
	channel->freed = true;
	outbox_finish(&channel->out);
	uv_close((uv_handle_t *)&channel->poll, on_poll_closed);
	close(channel->fd);
	channel->fd = -1;
}

int channel_send(struct channel *channel, const char *bytes, size_t len, int fd)
{
	int r;

	if (channel_is_broken(channel))
		return -EPIPE;
	r = outbox_send(&channel->out, channel->fd, &(struct outbox_message){ bytes, len, fd });
	if (r == -ENOBUFS)
		channel_break(channel, "the peer does not read what it is sent");
	else if (r < 0)
		break_errno(channel, -r);
	update(channel);
	return r;
}

void channel_ask_turn(struct channel *channel)
{
	channel->turn_asked = true;
	update(channel);
}

void channel_end(struct channel *channel)
{
	if (channel_is_broken(channel))
		return;
	if (outbox_is_empty(&channel->out)) {
		channel_break(channel, "closed by us");
		return;
	}
	channel->ending = true;
	update(channel);
}

void channel_set_reading(struct channel *channel, bool on)
{
	if (channel->reading == on)
		return;
	channel->reading = on;
	update(channel);
}

int channel_take_fd(struct channel *channel)
{
	if (channel->n_taken >= channel->n_received)
		return -1;
	return take_fd(&channel->received[channel->n_taken++]);
}

int channel_fd(const struct channel *channel)
{
	return channel->fd;
}
