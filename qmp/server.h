/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <sys/socket.h>
#include <uv.h>

#include "base/error.h"
#include "qmp/message.h"

/*
 * Our own QMP socket. Greets, negotiates, checks the form of commands and
 * answers what is malformed by itself; all else goes to the owner, one command
 * of a client at a time: the next one comes when this one is answered.
 *
 * Whatever a client sends, it costs bounded memory: one message of
 * QMP_SERVER_MESSAGE_MAX, what waits behind it, and QMP_SERVER_OUT_MAX of output
 * that it does not read (then it is closed). A client that only sits there costs
 * next to nothing, and no wakeups.
 *
 * A client that only stops sending gets its answers, then it is closed. One that
 * is gone is not served any more: what it sent last may be left undone.
 *
 * Callbacks come from the loop, never from within a call of the owner's. Each
 * function may be called within a callback.
 */
#define QMP_SERVER_CLIENTS_MAX 32
#define QMP_SERVER_MESSAGE_MAX (1024UL * 1024)
#define QMP_SERVER_OUT_MAX     (4UL * 1024 * 1024)
#define QMP_SERVER_DEPTH_MAX   128

struct qmp_server;
struct qmp_request;

struct qmp_server_ops {
	/* A command; answer it now or at any later time, exactly once. */
	void (*on_command)(void *data, struct qmp_request *request);

	/* May this peer connect? NULL: root and our own (effective) user may. */
	bool (*may_connect)(void *data, const struct ucred *peer);
};

/*
 * @fd	a listening unix stream socket, not shared with another process; taken
 *	with success, else the caller's
 * @ops	must outlive the server
 *
 * Returns 0 or -errno with a sentence.
 */
int qmp_server_new(uv_loop_t *loop, int fd, const struct qmp_server_ops *ops, void *data,
	struct qmp_server **ret, struct error *err);

/*
 * Close all connections and the socket; answers nothing. Requests that are not
 * answered stay valid until they are. The loop must run once more for the memory
 * to go. NULL is fine.
 */
void qmp_server_free(struct qmp_server *server);

/*
 * In a forked process that goes on with the server, after uv_loop_fork(): clients
 * that ask the kernel who they talk to (SO_PEERCRED) are told the process that
 * listened last. 0 or -errno.
 */
int qmp_server_listen_anew(struct qmp_server *server);

/* What later greetings give as version.qemu; 0.0.0 before. */
void qmp_server_set_version(struct qmp_server *server, struct message_version qemu);

/* How many clients are connected. */
size_t qmp_server_clients(const struct qmp_server *server);

/*
 * Send an event to every client that has negotiated.
 *
 * @bytes	a whole message; the line's end is added
 * @data	borrowed; NULL: none
 *
 * Returns 0 or -ENOMEM, and then nobody was told.
 */
int qmp_server_emit(struct qmp_server *server, const char *bytes, size_t len);
int qmp_server_emit_event(struct qmp_server *server, const char *name, json_t *data);

const char *qmp_request_command(const struct qmp_request *request);
json_t *qmp_request_arguments(const struct qmp_request *request); /* borrowed, never NULL */

/*
 * Answer, which frees the request. The client may have gone, and the server too:
 * then nobody hears it.
 *
 * @value	taken; NULL: {}
 * @class	NULL: QMP_CLASS_GENERIC
 */
void qmp_request_reply(struct qmp_request *request, json_t *value);
void qmp_request_fail(struct qmp_request *request, const char *class, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "The command X has not been found", in the class that clients look for. */
void qmp_request_not_found(struct qmp_request *request);
