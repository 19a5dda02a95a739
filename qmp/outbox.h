/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/*
 * What waits to be written to a non-blocking unix stream socket. Holds memory
 * only for what the socket did not take.
 */
struct outbox_piece;

struct outbox {
	struct outbox_piece *first;
	struct outbox_piece **end;
	size_t bytes;
	size_t max;
};

struct outbox_message {
	const char *bytes;
	size_t len;
	int fd; /* goes with the first byte; -1: none */
};

void outbox_init(struct outbox *outbox, size_t max);
void outbox_finish(struct outbox *outbox);
bool outbox_is_empty(const struct outbox *outbox);

/*
 * Write a message behind what waits: as much as the socket takes now, the rest
 * later, with a duplicate of the descriptor where needed.
 *
 * Returns 0 or -errno: -ENOBUFS (more than max would wait), -ENOMEM, or what the
 * socket said. The message may then be written in part: the connection is lost.
 */
int outbox_send(struct outbox *outbox, int socket, const struct outbox_message *message);

/* Write what waits, as much as the socket takes. 0 or -errno; a full socket is no error. */
int outbox_flush(struct outbox *outbox, int socket);
