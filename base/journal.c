/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/journal.h"

#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/time.h>
#include <sys/un.h>
#include <syslog.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/str.h"
#include "base/unix_socket.h"

/* The variable is inherited by those, too, whose output is another's. */
bool journal_is_stream(int fd)
{
	const char *journal = getenv("JOURNAL_STREAM");
	char own[64];
	struct stat info;

	if (!journal || fstat(fd, &info) < 0)
		return false;
	snprintf(own, sizeof(own), "%ju:%ju", (uintmax_t)info.st_dev, (uintmax_t)info.st_ino);
	return strcmp(journal, own) == 0;
}

/* Where the other end listens: so a journal namespace's (LogNamespace=) is found too. */
static int path_of(int stream, char path[static sizeof(struct sockaddr_un)])
{
	struct sockaddr_un peer = { 0 };
	socklen_t size = sizeof(peer);

	if (getpeername(stream, (struct sockaddr *)&peer, &size) < 0)
		return -errno;
	if (peer.sun_family != AF_UNIX || peer.sun_path[0] != '/')
		return -EAFNOSUPPORT;
	snprintf(path, sizeof(peer), "%.*s", (int)sizeof(peer.sun_path), peer.sun_path);
	return 0;
}

bool journal_is_same(int fd, int stream)
{
	char one[sizeof(struct sockaddr_un)], other[sizeof(struct sockaddr_un)];

	return path_of(fd, one) == 0 && path_of(stream, other) == 0 && strcmp(one, other) == 0;
}

/* As much as systemd has made room for in @stream, or as we may: each byte of a slow writer is a
 * message. Who connects has a deadline for what it sends, which a program's output must not have.
 */
static void set_up_like(int stream, int fd)
{
	static const struct timeval for_ever = { 0 };
	socklen_t size = sizeof(int);
	int room;

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &for_ever, sizeof(for_ever));
	shutdown(fd, SHUT_RD);
	if (getsockopt(stream, SOL_SOCKET, SO_SNDBUF, &room, &size) < 0)
		return;
	room /= 2; /* the kernel says, and sets, twice as much: socket(7) */
	if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &room, sizeof(room)) < 0)
		setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &room, sizeof(room));
}

int journal_open_plain(int stream, const char *identifier, const char *unit)
{
	_cleanup_(str_finish) struct str header = { 0 };
	char path[sizeof(struct sockaddr_un)];
	_cleanup_(closep) int fd = -1;
	int ret = path_of(stream, path);

	if (ret < 0)
		return ret;
	fd = unix_socket_connect(path, NULL);
	if (fd < 0)
		return fd;
	/* identifier, unit, priority, "<N>" counts, and copies to: syslog, kernel's log, console */
	str_printf(&header, "%s\n%s\n%d\n0\n0\n0\n0\n", identifier, unit ? unit : "",
		LOG_DAEMON | LOG_INFO);
	ret = header.failed ? -ENOMEM : fd_write_all(fd, header.text, header.len);
	if (ret < 0)
		return ret;
	set_up_like(stream, fd);
	return take_fd(&fd);
}

static bool ends(const char *text, size_t len, const char *end)
{
	size_t n = strlen(end);

	return len > n && memcmp(text + len - n, end, n) == 0;
}

/* The first part of @path that is no slice. systemd puts '_' before one that looks like a file of
 * the kernel's. */
static char *unit_of_path(const char *path, size_t len)
{
	const char *end = path + len, *part, *next;

	for (part = path; part < end; part = next + 1) {
		next = memchr(part, '/', end - part);
		if (!next)
			next = end;
		if (next == part || ends(part, next - part, ".slice"))
			continue;
		if (*part == '_')
			part++;
		if (ends(part, next - part, ".service") || ends(part, next - part, ".scope"))
			return strndup(part, next - part);
		return NULL;
	}
	return NULL;
}

/* "ID:CONTROLLERS:PATH": of version 2, or systemd's own tree beside those of version 1. */
static char *unit_of_line(const char *line, size_t len)
{
	static const char *const starts[] = { "0::", ":name=systemd:" };
	size_t i;

	for (i = 0; i < sizeof(starts) / sizeof(*starts); i++) {
		const char *at = memmem(line, len, starts[i], strlen(starts[i]));

		if (!at || (i == 0 && at != line))
			continue;
		at += strlen(starts[i]);
		return unit_of_path(at, line + len - at);
	}
	return NULL;
}

char *journal_unit_of(const char *groups)
{
	char *unit = NULL;
	size_t len;

	for (; *groups && !unit; groups += len + (groups[len] == '\n')) {
		len = strcspn(groups, "\n");
		unit = unit_of_line(groups, len);
	}
	return unit;
}
