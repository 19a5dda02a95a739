/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include <jansson.h>

#include "base/error.h"
#include "base/str.h"

/*
 * A verb's talk with a VM's supervisor: QMP on its qmp.sock, one message a line,
 * blocking, each wait bounded. Nothing here starts a thread or a loop.
 */
struct control_client {
	int fd;
	struct str input;
	size_t scanned; /* of @input: no line end in there */
	int timeout_ms; /* for each call; -1: for ever */

	/* Events that come while something else is waited for; may be NULL. Borrowed. */
	void (*on_event)(void *data, const json_t *event);
	void *event_data;

	json_t *reply; /* of the last call: the value of "return" */
	char error_class[64];
};

#define CONTROL_CLIENT_INIT                   \
	{                                     \
		.fd = -1, .timeout_ms = 10000 \
	}

#define CONTROL_BUSY  "VmlatchBusy"
#define CONTROL_STALE "VmlatchStale"

/* Connect, greet, negotiate. 0 or -errno with a sentence and its status (69). */
int control_client_open(struct control_client *client, const char *path, struct error *err);
void control_client_close(struct control_client *client);

/*
 * One command, until its answer.
 *
 * @arguments	taken over; NULL: none
 *
 * Returns 0 with @client->reply, CONTROL_REFUSED with the server's words in @err
 * and @client->error_class, or -errno (-ETIMEDOUT, -ECONNRESET, ...) with a
 * sentence; after that the client is only good to be closed.
 */
enum { CONTROL_REFUSED = 1 };
int control_client_call(
	struct control_client *client, const char *command, json_t *arguments, struct error *err);

/*
 * Hand over the events that are there already; if there are none, wait for some.
 *
 * Returns 0 (also when nothing came in time) or -errno; -ECONNRESET: the server
 * has hung up.
 */
int control_client_pump(struct control_client *client, int timeout_ms, struct error *err);
