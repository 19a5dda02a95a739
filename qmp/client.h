/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/error.h"

/*
 * Talks to one QEMU monitor (or to our own server). Never asks for out-of-band
 * commands: so QEMU reads a command only when it has answered the one before,
 * answers come in order without ids, and a descriptor cannot be overtaken by
 * the next one's.
 *
 * Callbacks come from the loop (those of qmp_client_free() excepted). Each
 * function may be called within a callback, qmp_client_free() too. No timer
 * runs but for calls that have a timeout.
 */
struct qmp_client;

struct qmp_client_ops {
	/* Greeted and negotiated; calls are possible from now on. @greeting is borrowed. */
	void (*on_ready)(void *data, json_t *greeting);

	/*
	 * @name	as in the event
	 * @event	the whole message, borrowed
	 * @raw		its bytes, without the line's end
	 */
	void (*on_event)(
		void *data, const char *name, json_t *event, const char *raw, size_t raw_len);

	/*
	 * The connection is over; all calls have been told before. Nothing comes
	 * after it; the client still wants its qmp_client_free().
	 */
	void (*on_closed)(void *data, const char *reason);
};

/*
 * @fd	connected, not shared with another process; taken with success, else the
 *	caller's
 * @ops	must outlive the client; each may be NULL
 *
 * Returns 0 or -errno with a sentence.
 */
int qmp_client_new(uv_loop_t *loop, int fd, const struct qmp_client_ops *ops, void *data,
	struct qmp_client **ret, struct error *err);

/*
 * Close the connection now. Calls that are not answered are told -ECONNRESET
 * from within; on_closed does not come. The loop must run once more for the
 * memory to go. NULL is fine.
 */
void qmp_client_free(struct qmp_client *client);

/* The results of a call; negative: -ETIMEDOUT, -ECONNRESET, -EBADMSG. */
enum { QMP_DONE = 0, QMP_REFUSED = 1 };

/* All borrowed. */
struct qmp_reply {
	int result;
	json_t *value;     /* what "return" held; NULL unless the result is QMP_DONE */
	const char *class; /* QEMU's error class; NULL unless it is QMP_REFUSED */
	const char *words; /* QEMU's words for it, or why there is no answer; never NULL */
	const char *raw;   /* the whole answer's bytes; NULL where none came */
	size_t raw_len;
};

/*
 * Comes exactly once for each call that was accepted.
 *
 * -ETIMEDOUT	no answer in time. The command may still be carried out; its late
 *		answer is passed over, and the client stays usable
 * -ECONNRESET	the connection is over; whether the command was carried out is
 *		not known
 * -EBADMSG	the answer is there (@raw) but not to be understood
 */
typedef void (*qmp_reply_fn)(void *data, const struct qmp_reply *reply);

struct qmp_call {
	qmp_reply_fn fn; /* NULL: nobody asks */
	void *data;
	uint64_t timeout_ms; /* 0: none */
	int fd;              /* passed with the command, stays the caller's; -1: none */
};

/*
 * Send a command.
 *
 * @arguments	taken in any case; NULL: none
 * @call	NULL: no descriptor, no timeout, nobody asks
 *
 * Returns 0, and then call->fn comes; or, and then it does not: -ENOTCONN (not
 * ready yet, or closed), -EBUSY (QMP_CALLS_MAX wait for answers), -ENOMEM or
 * what the socket said.
 */
#define QMP_CALLS_MAX 256
int qmp_client_call(struct qmp_client *client, const char *command, json_t *arguments,
	const struct qmp_call *call);
