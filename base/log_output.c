/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log_output.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

/* How a line is kept from waiting. */
static enum {
	MAY_WAIT, /* or never does: a regular file */
	OPENED_ANEW,
	ASKED_BEFORE,
	IS_SOCKET,
} way;

static int opened = -1;

void log_output_never_wait(void)
{
	struct stat info;

	if (way != MAY_WAIT || fstat(STDERR_FILENO, &info) < 0)
		return;
	if (S_ISSOCK(info.st_mode)) {
		way = IS_SOCKET;
	} else if (S_ISFIFO(info.st_mode) || S_ISCHR(info.st_mode)) {
		opened = open("/proc/self/fd/2", O_WRONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
		way = opened >= 0 ? OPENED_ANEW : ASKED_BEFORE;
	}
}

void log_output_wait(void)
{
	if (opened >= 0)
		close(opened);
	opened = -1;
	way = MAY_WAIT;
}

static bool has_room(void)
{
	struct pollfd asked = { .fd = STDERR_FILENO, .events = POLLOUT };

	return poll(&asked, 1, 0) == 1 && asked.revents & POLLOUT;
}

bool log_output_write(const char *line, size_t len)
{
	switch (way) {
	case OPENED_ANEW:
		return write(opened, line, len) >= 0;
	case IS_SOCKET:
		return send(STDERR_FILENO, line, len, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0;
	case ASKED_BEFORE:
		return has_room() && write(STDERR_FILENO, line, len) >= 0;
	case MAY_WAIT:
		break;
	}
	return write(STDERR_FILENO, line, len) >= 0;
}
