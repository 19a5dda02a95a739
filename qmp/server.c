/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/server.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "qmp/peer.h"

/* accept() that fails for want of descriptors would fail again at once. */
#define RETRY_MS 1000

struct qmp_server {
	uv_poll_t listener;
	uv_timer_t retry;
	int fd;
	const struct qmp_server_ops *ops;
	void *data;
	struct message_version qemu;
	struct peer *peers;
	size_t n_peers;
	unsigned int n_handles; /* that the loop still has */
	bool freed;
};

static void on_connection(uv_poll_t *poll, int status, int events);

static void listen_on(struct qmp_server *server)
{
	uv_poll_start(&server->listener, UV_READABLE, on_connection);
}

static void on_command(void *data, struct qmp_request *request)
{
	struct qmp_server *server = data;

	server->ops->on_command(server->data, request);
}

static void on_peer_closed(void *data, struct peer *peer)
{
	struct qmp_server *server = data;
	struct peer *before = server->peers;

	if (before == peer) {
		server->peers = peer_next(peer);
	} else {
		while (peer_next(before) != peer)
			before = peer_next(before);
		peer_set_next(before, peer_next(peer));
	}
	server->n_peers--;
	peer_free(peer);
}

static const struct peer_ops peer_callbacks = {
	.on_command = on_command,
	.on_closed = on_peer_closed,
};

static const char *refuse(const struct qmp_server *server, int fd)
{
	struct ucred peer = { 0 };
	socklen_t size = sizeof(peer);
	bool may;

	if (getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &peer, &size) < 0)
		return "nobody knows who you are";
	if (server->ops->may_connect)
		may = server->ops->may_connect(server->data, &peer);
	else
		may = peer.uid == 0 || peer.uid == geteuid();
	if (!may)
		return "this socket is for root and the VM's own user";
	if (server->n_peers >= QMP_SERVER_CLIENTS_MAX)
		return "too many clients are connected";
	return NULL;
}

/* The socket is new and empty: one short line fits, and nobody is waited for. */
static void turn_away(int fd, const char *words)
{
	struct str text = { 0 };

	message_error(&text, QMP_CLASS_GENERIC, words, NULL);
	if (!text.failed)
		send(fd, text.text, text.len, MSG_NOSIGNAL | MSG_DONTWAIT);
	str_finish(&text);
}

static void welcome(struct qmp_server *server, int accepted)
{
	_cleanup_(closep) int fd = accepted;
	const struct peer_options options = {
		.ops = &peer_callbacks,
		.data = server,
		.qemu = server->qemu,
	};
	const char *words = refuse(server, fd);
	struct peer *peer;

	if (server->freed) /* by may_connect() */
		return;
	if (!words && peer_new(server->listener.loop, fd, &options, &peer) < 0)
		words = "out of memory";
	if (words) {
		turn_away(fd, words);
		return;
	}
	take_fd(&fd);
	peer_set_next(peer, server->peers);
	server->peers = peer;
	server->n_peers++;
}

static void on_retry(uv_timer_t *timer)
{
	listen_on(timer->data);
}

static void on_connection(uv_poll_t *poll, int status, int events)
{
	struct qmp_server *server = poll->data;
	int fd = accept4(server->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);

	(void)events;
	if (fd >= 0) {
		welcome(server, fd);
		return;
	}
	if (status == 0 && (errno == EAGAIN || errno == EINTR || errno == ECONNABORTED))
		return;
	uv_poll_stop(&server->listener);
	uv_timer_start(&server->retry, on_retry, RETRY_MS, 0);
}

int qmp_server_new(uv_loop_t *loop, int fd, const struct qmp_server_ops *ops, void *data,
	struct qmp_server **ret, struct error *err)
{
	_cleanup_(freep) struct qmp_server *server = calloc(1, sizeof(*server));
	int r;

	if (!server)
		return error_set(err, -ENOMEM, "out of memory");
	server->fd = fd;
	server->ops = ops;
	server->data = data;
	r = uv_poll_init(loop, &server->listener, fd);
	if (r < 0)
		return error_set(err, r, "watch a socket: %s", uv_strerror(r));
	uv_timer_init(loop, &server->retry);
	server->listener.data = server;
	server->retry.data = server;
	server->n_handles = 2;
	listen_on(server);
	*ret = take_ptr(server);
	return 0;
}

int qmp_server_listen_anew(struct qmp_server *server)
{
	return listen(server->fd, SOMAXCONN) < 0 ? -errno : 0;
}

static void on_handle_closed(uv_handle_t *handle)
{
	struct qmp_server *server = handle->data;

	if (--server->n_handles == 0)
		free(server);
}

void qmp_server_free(struct qmp_server *server)
{
	if (!server || server->freed)
		return;
	server->freed = true;
	while (server->peers) {
		struct peer *peer = server->peers;

		server->peers = peer_next(peer);
		peer_free(peer);
	}
	server->n_peers = 0;
	uv_close((uv_handle_t *)&server->listener, on_handle_closed);
	uv_close((uv_handle_t *)&server->retry, on_handle_closed);
	close(server->fd);
}

void qmp_server_set_version(struct qmp_server *server, struct message_version qemu)
{
	server->qemu = qemu;
}

size_t qmp_server_clients(const struct qmp_server *server)
{
	return server->n_peers;
}

/* A peer that is lost here is told so by the loop, later: the list stays as it is. */
static int emit(struct qmp_server *server, struct str *line)
{
	struct peer *peer;
	bool failed = line->failed;

	for (peer = server->peers; peer && !failed; peer = peer_next(peer))
		peer_send_event(peer, line->text, line->len);
	str_finish(line);
	return failed ? -ENOMEM : 0;
}

int qmp_server_emit(struct qmp_server *server, const char *bytes, size_t len)
{
	struct str line = { 0 };

	str_append_bytes(&line, bytes, len);
	str_append(&line, "\r\n");
	return emit(server, &line);
}

int qmp_server_emit_event(struct qmp_server *server, const char *name, json_t *data)
{
	struct str line = { 0 };

	message_event(&line, name, data);
	return emit(server, &line);
}
