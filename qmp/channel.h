/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/error.h"

/*
 * A connected unix stream socket on a loop: bytes and descriptors in, bytes and
 * descriptors out, one reason at the end.
 *
 * Callbacks come from the loop only, never from within a call of the owner's.
 * Each function here may be called within a callback, channel_free() too.
 */
struct channel;

struct channel_ops {
	void (*on_bytes)(void *data, const char *bytes, size_t len);

	/*
	 * The peer sends no more, but still reads (a half-closed connection). NULL:
	 * that is an end like any other.
	 */
	void (*on_end)(void *data);

	/* After channel_ask_turn(). May be NULL. */
	void (*on_turn)(void *data);

	/*
	 * It is over: by the peer, by an error, by channel_break() or after
	 * channel_end(). Comes once, and nothing after it. The channel still
	 * wants its channel_free().
	 */
	void (*on_closed)(void *data, const char *reason);

	/* After channel_free(): the channel is no more, free what was kept for it. May be NULL. */
	void (*on_freed)(void *data);
};

/*
 * @fd		taken with success, else the caller's; becomes non-blocking, so it
 *		must not be shared with another process
 * @out_max	bytes that may wait for a peer that does not read; one more, and
 *		the connection is closed
 *
 * Returns 0 or -errno with a sentence.
 */
struct channel_options {
	const struct channel_ops *ops; /* must outlive the channel */
	void *data;
	size_t out_max;
};
int channel_new(uv_loop_t *loop, int fd, const struct channel_options *options,
	struct channel **ret, struct error *err);

/*
 * Close the connection now; no callback comes any more but on_freed. The memory
 * goes in the loop's next round: the loop must run once more. NULL is fine.
 */
void channel_free(struct channel *channel);

/*
 * Send bytes after those that wait already.
 *
 * @fd	travels with the first of them, stays the caller's; -1: none
 *
 * Returns 0, or -errno, and then on_closed follows (or came already): -EPIPE,
 * -ENOBUFS (the peer does not read), -ENOMEM.
 */
int channel_send(struct channel *channel, const char *bytes, size_t len, int fd);

/* on_turn comes from the loop, once, when nothing waits to be sent. */
void channel_ask_turn(struct channel *channel);

/* Send what waits, then close; what the peer sends is not read any more. */
void channel_end(struct channel *channel);

/* Close without sending what waits; on_closed follows with these words. */
void channel_break(struct channel *channel, const char *reason);

/* Broken, ended or closed: nothing that is sent would arrive. */
bool channel_is_broken(const struct channel *channel);

/* Stop and resume reading; it starts as on. */
void channel_set_reading(struct channel *channel, bool on);

/*
 * Within on_bytes: take a descriptor that came with these bytes, in their order.
 * Those that nobody takes are closed.
 *
 * Returns a close-on-exec descriptor, the caller's, or -1: no more.
 */
int channel_take_fd(struct channel *channel);

/* The socket, for getsockopt(). */
int channel_fd(const struct channel *channel);
