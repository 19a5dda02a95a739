/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/outbox.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"

struct outbox_piece {
	struct outbox_piece *next;
	size_t len;
	size_t sent;
	int fd; /* -1: none, or gone with the first byte */
	char bytes[];
};

void outbox_init(struct outbox *outbox, size_t max)
{
	*outbox = (struct outbox){ .max = max };
	outbox->end = &outbox->first;
}

static void drop_first(struct outbox *outbox)
{
	struct outbox_piece *piece = outbox->first;

	outbox->first = piece->next;
	if (!outbox->first)
		outbox->end = &outbox->first;
	outbox->bytes -= piece->len;
	closep(&piece->fd);
	free(piece);
}

void outbox_finish(struct outbox *outbox)
{
	while (outbox->first)
		drop_first(outbox);
}

bool outbox_is_empty(const struct outbox *outbox)
{
	return !outbox->first;
}

/* How many bytes the socket took: 0 if it is full. Or -errno. */
static ssize_t write_some(int socket, const char *bytes, size_t len, int fd)
{
	struct iovec data = { .iov_base = (void *)bytes, .iov_len = len };
	struct msghdr header = { .msg_iov = &data, .msg_iovlen = 1 };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	ssize_t n;

	if (fd >= 0) {
		header.msg_control = &control;
		header.msg_controllen = sizeof(control);
		control.header.cmsg_level = SOL_SOCKET;
		control.header.cmsg_type = SCM_RIGHTS;
		control.header.cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(&control.header), &fd, sizeof(int));
	}
	do {
		n = sendmsg(socket, &header, MSG_NOSIGNAL | MSG_DONTWAIT);
	} while (n < 0 && errno == EINTR);
	if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK))
		return 0;
	return n < 0 ? -errno : n;
}

static int keep_rest(struct outbox *outbox, const struct outbox_message *message, size_t sent)
{
	size_t len = message->len - sent;
	struct outbox_piece *piece;

	if (len > outbox->max || outbox->bytes > outbox->max - len)
		return -ENOBUFS;
	piece = malloc(sizeof(*piece) + len);
	if (!piece)
		return -ENOMEM;
	*piece = (struct outbox_piece){ .len = len, .fd = -1 };
	if (message->fd >= 0 && sent == 0) {
		piece->fd = fcntl(message->fd, F_DUPFD_CLOEXEC, 0);
		if (piece->fd < 0) {
			int r = -errno;

			free(piece);
			return r;
		}
	}
	memcpy(piece->bytes, message->bytes + sent, len);
	*outbox->end = piece;
	outbox->end = &piece->next;
	outbox->bytes += len;
	return 0;
}

int outbox_send(struct outbox *outbox, int socket, const struct outbox_message *message)
{
	ssize_t sent = 0;

	if (outbox_is_empty(outbox))
		sent = write_some(socket, message->bytes, message->len, message->fd);
	if (sent < 0)
		return sent;
	if ((size_t)sent == message->len)
		return 0;
	return keep_rest(outbox, message, sent);
}

int outbox_flush(struct outbox *outbox, int socket)
{
	while (!outbox_is_empty(outbox)) {
		struct outbox_piece *piece = outbox->first;
		ssize_t n = write_some(
			socket, piece->bytes + piece->sent, piece->len - piece->sent, piece->fd);

		if (n <= 0)
			return n;
		closep(&piece->fd);
		piece->fd = -1;
		piece->sent += n;
		if (piece->sent == piece->len)
			drop_first(outbox);
	}
	return 0;
}
