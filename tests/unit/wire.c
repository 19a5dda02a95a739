/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "wire.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

void wire_open(struct wire *wire)
{
	int pair[2];

	memset(wire, 0, sizeof(*wire));
	assert_int_equal(uv_loop_init(&wire->loop), 0);
	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	wire->near = pair[0];
	wire->far = pair[1];
}

void wire_close(struct wire *wire)
{
	RUN_UNTIL(&wire->loop, !uv_loop_alive(&wire->loop));
	assert_int_equal(uv_loop_close(&wire->loop), 0);
	if (wire->far >= 0)
		close(wire->far);
	str_finish(&wire->heard);
	str_finish(&wire->line);
}

bool wire_say_bytes(struct wire *wire, const char *bytes, size_t len)
{
	int64_t end = clock_monotonic_ms() + WIRE_DEADLINE_MS;

	while (len) {
		ssize_t n = send(wire->far, bytes, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		assert_true(clock_monotonic_ms() < end);
		if (n < 0 && errno != EAGAIN)
			return false;
		if (n > 0) {
			bytes += n;
			len -= n;
		}
		uv_run(&wire->loop, UV_RUN_NOWAIT);
	}
	return true;
}

bool wire_say(struct wire *wire, const char *text)
{
	return wire_say_bytes(wire, text, strlen(text));
}

static bool cut_line(struct wire *wire)
{
	char *end = wire->heard.len ? memchr(wire->heard.text, '\n', wire->heard.len) : NULL;
	size_t len;

	if (!end)
		return false;
	len = end - wire->heard.text;
	wire->line.len = 0;
	str_append_bytes(&wire->line, wire->heard.text, len && end[-1] == '\r' ? len - 1 : len);
	wire->heard.len -= len + 1;
	memmove(wire->heard.text, end + 1, wire->heard.len);
	return true;
}

const char *wire_hear(struct wire *wire)
{
	int64_t end = clock_monotonic_ms() + WIRE_DEADLINE_MS;
	char bytes[4096];

	while (!cut_line(wire)) {
		ssize_t n = recv(wire->far, bytes, sizeof(bytes), MSG_DONTWAIT);

		assert_true(clock_monotonic_ms() < end);
		if (n == 0 || (n < 0 && errno != EAGAIN))
			return NULL;
		if (n > 0)
			str_append_bytes(&wire->heard, bytes, n);
		else if (!uv_run(&wire->loop, UV_RUN_NOWAIT))
			clock_sleep_ms(1);
	}
	return wire->line.text;
}

void wire_idle(struct wire *wire)
{
	int i;

	for (i = 0; i < 20; i++) {
		uv_run(&wire->loop, UV_RUN_NOWAIT);
		clock_sleep_ms(1);
	}
}

int wire_connect(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_true(fd >= 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}
