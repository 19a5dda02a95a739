/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <uv.h>

#include "base/str.h"
#include "qmp/command.h"
#include "qmp/message.h"
#include "qmp/server.h"

/* One client of our server; for server.c only. */
struct peer;

struct peer_ops {
	void (*on_command)(void *data, struct qmp_request *request);
	/* The connection is over; wants a peer_free(). */
	void (*on_closed)(void *data, struct peer *peer);
};

/*
 * @fd	connected; taken with success, else the caller's
 *
 * Greets the client. Returns 0 or -errno.
 */
struct peer_options {
	const struct peer_ops *ops;
	void *data;
	struct message_version qemu;
};
int peer_new(uv_loop_t *loop, int fd, const struct peer_options *options, struct peer **ret);

/* Allowed in callbacks; a request that is open loses its client. */
void peer_free(struct peer *peer);

/* To a client that has negotiated; others hear nothing. @bytes end with a line's end. */
void peer_send_event(struct peer *peer, const char *bytes, size_t len);

/* A command that was handed to the owner (request.c); one of a client at a time. */
struct qmp_request {
	struct peer *peer; /* NULL: the client has gone */
	struct command command;
};

/* Its answer; takes @text over. The client gets its next turn. */
void peer_answer(struct peer *peer, struct str *text);

/* The server's list. */
struct peer *peer_next(const struct peer *peer);
void peer_set_next(struct peer *peer, struct peer *next);
