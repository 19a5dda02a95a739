/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/fd.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

/*
 * Room that is left above our descriptors, and at least as much below: QEMU needs
 * numbers of its own. Of a small limit it is a part.
 */
#define HIGH_MARGIN      64
#define HIGH_MARGIN_PART 4
/*
 * The kernel's table of descriptors is as long as the highest number (32 KiB here, 256 at
 * 32768), and whoever closes all descriptors one by one asks it for each.
 */
#define HIGH_LIMIT 4096

int fd_write_all(int fd, const void *bytes, size_t len)
{
	const char *left = bytes;

	while (len) {
		ssize_t n = send(fd, left, len, MSG_NOSIGNAL);

		if (n < 0 && errno == ENOTSOCK)
			n = write(fd, left, len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		left += n;
		len -= n;
	}
	return 0;
}

ssize_t fd_read_all(int fd, void *bytes, size_t size)
{
	size_t used = 0;

	while (used < size) {
		ssize_t n = read(fd, (char *)bytes + used, size - used);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		if (n == 0)
			break;
		used += n;
	}
	return used;
}

union control {
	struct cmsghdr header;
	char space[CMSG_SPACE(sizeof(int) * FD_MESSAGE_MAX)];
};

int fd_send(int socket, const void *bytes, size_t len, const int *fds, size_t n)
{
	struct iovec data = { .iov_base = (void *)bytes, .iov_len = len };
	struct msghdr message = { .msg_iov = &data, .msg_iovlen = 1 };
	union control control = { 0 };
	struct cmsghdr *header;
	ssize_t sent;

	if (n > FD_MESSAGE_MAX)
		return -E2BIG;
	if (n) {
		message.msg_control = control.space;
		message.msg_controllen = CMSG_SPACE(sizeof(int) * n);
		header = CMSG_FIRSTHDR(&message);
		header->cmsg_level = SOL_SOCKET;
		header->cmsg_type = SCM_RIGHTS;
		header->cmsg_len = CMSG_LEN(sizeof(int) * n);
		memcpy(CMSG_DATA(header), fds, sizeof(int) * n);
	}
	do {
		sent = sendmsg(socket, &message, MSG_NOSIGNAL);
	} while (sent < 0 && errno == EINTR);
	if (sent < 0)
		return -errno;
	return (size_t)sent == len ? 0 : -EMSGSIZE;
}

static size_t collect_fds(struct msghdr *message, int *fds, size_t room)
{
	struct cmsghdr *header;
	size_t n = 0, i;

	for (header = CMSG_FIRSTHDR(message); header; header = CMSG_NXTHDR(message, header)) {
		size_t count = (header->cmsg_len - CMSG_LEN(0)) / sizeof(int);

		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_RIGHTS)
			continue;
		for (i = 0; i < count; i++) {
			int fd;

			memcpy(&fd, CMSG_DATA(header) + i * sizeof(int), sizeof(int));
			if (n < room)
				fds[n++] = fd;
			else
				close(fd);
		}
	}
	return n;
}

ssize_t fd_receive(int socket, void *bytes, size_t size, int *fds, size_t *n)
{
	struct iovec data = { .iov_base = bytes, .iov_len = size };
	union control control;
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	size_t room = *n;
	ssize_t got;

	*n = 0;
	do {
		got = recvmsg(socket, &message, MSG_CMSG_CLOEXEC);
	} while (got < 0 && errno == EINTR);
	if (got < 0)
		return -errno;
	*n = collect_fds(&message, fds, room);
	if (message.msg_flags & (MSG_CTRUNC | MSG_TRUNC)) {
		fd_close_many(fds, *n);
		*n = 0;
		return -EMSGSIZE;
	}
	return got;
}

void fd_close_many(int *fds, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (fds[i] >= 0)
			close(fds[i]);
		fds[i] = -1;
	}
}

int fd_set_cloexec(int fd, bool on)
{
	return fcntl(fd, F_SETFD, on ? FD_CLOEXEC : 0) < 0 ? -errno : 0;
}

int fd_high_base(size_t needed, struct error *err)
{
	struct rlimit limit;
	rlim_t top, margin;

	if (getrlimit(RLIMIT_NOFILE, &limit) < 0)
		return error_set(err, -errno, "read the limit of open files: %s", strerror(errno));
	top = limit.rlim_cur < HIGH_LIMIT + needed ? limit.rlim_cur : HIGH_LIMIT + needed;
	margin = top / HIGH_MARGIN_PART < HIGH_MARGIN ? top / HIGH_MARGIN_PART : HIGH_MARGIN;
	if (top < needed + 2 * margin)
		return error_set(err, -EMFILE,
			"the limit of open files (%llu) leaves no room for %zu locks: raise "
			"'ulimit -n'",
			(unsigned long long)limit.rlim_cur, needed);
	return top - needed - margin;
}

int fd_place(int fd, int base)
{
	int placed = fcntl(fd, F_DUPFD, base);

	if (placed < 0)
		return -errno;
	close(fd);
	return placed;
}

int fd_keep_standard(void)
{
	int fd;

	do {
		fd = open("/", O_PATH | O_CLOEXEC);
		if (fd < 0)
			return -errno;
	} while (fd <= STDERR_FILENO);
	close(fd);
	return 0;
}

static int say_no_room(int reason, size_t n, struct error *err)
{
	struct rlimit limit = { 0 };

	getrlimit(RLIMIT_NOFILE, &limit);
	if (reason != -EMFILE)
		return error_set(err, reason, "open %zu files: %s", n, strerror(-reason));
	return error_set(err, reason,
		"vmlatch needs %zu open files for itself, and the limit of open files (%llu) "
		"leaves "
		"no room for them: raise 'ulimit -n'",
		n, (unsigned long long)limit.rlim_cur);
}

int fd_check_room(size_t n, struct error *err)
{
	int fds[FD_MESSAGE_MAX];
	size_t i;
	int ret = 0;

	for (i = 0; i < n; i++) {
		fds[i] = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 0);
		if (fds[i] < 0)
			break;
	}
	if (i < n)
		ret = -errno;
	fd_close_many(fds, i);
	return ret < 0 ? say_no_room(ret, n, err) : 0;
}
