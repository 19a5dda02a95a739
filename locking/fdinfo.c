/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/fdinfo.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

int fdinfo_read(int at, const char *name, char text[static FDINFO_MAX])
{
	_cleanup_(closep) int fd = TEMP_FAILURE_RETRY(openat(at, name, O_RDONLY | O_CLOEXEC));
	ssize_t n;

	if (fd < 0)
		return -errno;
	/* one read: the kernel makes the text whole, and gives as much as there is room for */
	do {
		n = read(fd, text, FDINFO_MAX - 1);
	} while (n < 0 && errno == EINTR);
	if (n < 0)
		return -errno;
	text[n] = '\0';
	return 0;
}

/* "lock:  1: OFDLCK ADVISORY  WRITE -1 fe:00:1234 0 0": kind, class, type, pid, file, range */
static int line_lock_type(const char *line, off_t byte)
{
	char kind[16], type[16], last[24];
	long long first;

	if (sscanf(line, "lock: %*d: %15s %*s %15s %*d %*s %lld %23s", kind, type, &first, last) !=
		4)
		return F_UNLCK;
	if (!str_equal(kind, "OFDLCK") && !str_equal(kind, "POSIX"))
		return F_UNLCK;
	if (byte < first || byte > (str_equal(last, "EOF") ? LLONG_MAX : atoll(last)))
		return F_UNLCK;
	return str_equal(type, "WRITE") ? F_WRLCK : F_RDLCK;
}

int fdinfo_lock_type(const char *text, off_t byte)
{
	const char *line = strstr(text, "lock:");
	int type;

	for (; line; line = strstr(line + 1, "lock:")) {
		type = line_lock_type(line, byte);
		if (type != F_UNLCK)
			return type;
	}
	return F_UNLCK;
}
