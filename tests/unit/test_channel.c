/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "qmp/channel.h"
#include "wire.h"

/* What the callbacks saw. */
struct seen {
	struct channel *channel;
	struct str bytes;
	size_t largest;
	char reason[128];
	int n_closed;
	int n_freed;
	int n_ends;
	int n_turns;
	int fd; /* taken with the first bytes that brought one */
	bool take_fds;
	bool free_at_once;  /* in on_bytes */
	bool send_in_close; /* in on_closed */
};

static void on_bytes(void *data, const char *bytes, size_t len)
{
	struct seen *seen = data;

	str_append_bytes(&seen->bytes, bytes, len);
	if (seen->take_fds && seen->fd < 0)
		seen->fd = channel_take_fd(seen->channel);
	if (seen->free_at_once)
		channel_free(seen->channel);
}

static void on_end(void *data)
{
	((struct seen *)data)->n_ends++;
}

static void on_turn(void *data)
{
	((struct seen *)data)->n_turns++;
}

static void on_closed(void *data, const char *reason)
{
	struct seen *seen = data;

	seen->n_closed++;
	snprintf(seen->reason, sizeof(seen->reason), "%s", reason);
	if (seen->send_in_close)
		assert_int_equal(channel_send(seen->channel, "x", 1, -1), -EPIPE);
}

static void on_freed(void *data)
{
	((struct seen *)data)->n_freed++;
}

static const struct channel_ops ops = { on_bytes, NULL, on_turn, on_closed, on_freed };
static const struct channel_ops half_ops = { on_bytes, on_end, on_turn, on_closed, on_freed };

static void begin(struct wire *wire, struct seen *seen, const struct channel_ops *which)
{
	struct channel_options options = { .ops = which, .data = seen, .out_max = 1 << 20 };
	struct error err;

	*seen = (struct seen){ .fd = -1 };
	wire_open(wire);
	assert_int_equal(channel_new(&wire->loop, wire->near, &options, &seen->channel, &err), 0);
}

static void end(struct wire *wire, struct seen *seen)
{
	channel_free(seen->channel);
	wire_close(wire);
	assert_int_equal(seen->n_freed, 1);
	str_finish(&seen->bytes);
	closep(&seen->fd);
}

static size_t count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

static void bytes_go_both_ways(void **state)
{
	struct wire wire;
	struct seen seen;

	(void)state;
	begin(&wire, &seen, &ops);
	assert_true(wire_say(&wire, "hello"));
	RUN_UNTIL(&wire.loop, seen.bytes.len == 5);
	assert_string_equal(seen.bytes.text, "hello");
	assert_int_equal(channel_send(seen.channel, "back\r\n", 6, -1), 0);
	assert_string_equal(wire_hear(&wire), "back");
	end(&wire, &seen);
	assert_int_equal(seen.n_closed, 0);
}

static void the_end_is_told_once_and_with_a_reason(void **state)
{
	struct wire wire;
	struct seen seen;

	(void)state;
	begin(&wire, &seen, &ops);
	seen.send_in_close = true;
	assert_true(wire_say(&wire, "last words"));
	close(take_fd(&wire.far));
	RUN_UNTIL(&wire.loop, seen.n_closed);
	assert_string_equal(seen.bytes.text, "last words");
	assert_string_equal(seen.reason, "the peer has closed the connection");
	wire_idle(&wire);
	assert_int_equal(seen.n_closed, 1);
	end(&wire, &seen);
}

static void what_came_before_a_reset_is_still_read(void **state)
{
	struct wire wire;
	struct seen seen;

	(void)state;
	begin(&wire, &seen, &ops);
	assert_int_equal(channel_send(seen.channel, "never read", 10, -1), 0);
	assert_int_equal(send(wire.far, "last words", 10, 0), 10);
	close(take_fd(&wire.far)); /* with unread bytes: ECONNRESET for us */
	RUN_UNTIL(&wire.loop, seen.n_closed);
	assert_string_equal(seen.bytes.text, "last words");
	end(&wire, &seen);
}

static void breaking_is_told_later_not_from_within(void **state)
{
	struct wire wire;
	struct seen seen;

	(void)state;
	begin(&wire, &seen, &ops);
	channel_set_reading(seen.channel, false);
	channel_break(seen.channel, "enough");
	channel_break(seen.channel, "the first reason stays");
	assert_int_equal(seen.n_closed, 0);
	assert_int_equal(channel_send(seen.channel, "x", 1, -1), -EPIPE);
	RUN_UNTIL(&wire.loop, seen.n_closed);
	assert_string_equal(seen.reason, "enough");
	end(&wire, &seen);
}

static void nothing_comes_after_free(void **state)
{
	struct wire wire;
	struct seen seen;

	(void)state;
	begin(&wire, &seen, &ops);
	seen.free_at_once = true;
	assert_true(wire_say(&wire, "hello"));
	RUN_UNTIL(&wire.loop, seen.n_freed);
	assert_null(wire_hear(&wire));
	seen.channel = NULL;
	channel_free(NULL);
	wire_close(&wire);
	assert_int_equal(seen.n_closed, 0);
	str_finish(&seen.bytes);
}

static void a_descriptor_goes_with_its_message(void **state)
{
	size_t n = 1, before;
	struct wire wire;
	struct stat sent, got;
	struct seen seen;
	char bytes[16];
	int fd, received;

	(void)state;
	begin(&wire, &seen, &ops);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	before = count_fds();
	assert_int_equal(channel_send(seen.channel, "one\n", 4, -1), 0);
	assert_int_equal(channel_send(seen.channel, "two\n", 4, fd), 0);
	assert_int_equal(fd_receive(wire.far, bytes, sizeof(bytes), &received, &n), 8);
	assert_int_equal(n, 1);
	assert_int_equal(fstat(fd, &sent), 0);
	assert_int_equal(fstat(received, &got), 0);
	assert_true(sent.st_rdev == got.st_rdev);
	close(received);
	assert_int_equal(count_fds(), before);
	close(fd);
	end(&wire, &seen);
}

static void fill(struct seen *seen, size_t len)
{
	char *bytes = malloc(len);

	memset(bytes, 'x', len);
	assert_int_equal(channel_send(seen->channel, bytes, len, -1), 0);
	free(bytes);
}

static void a_descriptor_that_waits_is_a_duplicate_that_is_closed_later(void **state)
{
	size_t before, n = 0, left = 900000 + 4;
	struct wire wire;
	struct seen seen;
	char bytes[65536];
	int fd, received = -1;

	(void)state;
	begin(&wire, &seen, &ops);
	fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	before = count_fds();
	fill(&seen, 900000);
	assert_int_equal(channel_send(seen.channel, "two\n", 4, fd), 0);
	assert_int_equal(count_fds(), before + 1);
	close(fd);
	while (left) {
		ssize_t got;

		uv_run(&wire.loop, UV_RUN_NOWAIT);
		n = 1;
		got = fd_receive(wire.far, bytes, sizeof(bytes), &received, &n);
		if (got > 0)
			left -= got;
		else
			assert_int_equal(got, -EAGAIN);
		if (n)
			assert_int_equal(left, 0);
	}
	assert_int_equal(n, 1);
	assert_int_equal(count_fds(), before); /* ours is gone, that one has come */
	close(received);
	end(&wire, &seen);
}

static void descriptors_nobody_takes_are_closed(void **state)
{
	int fds[6] = { 0, 1, 2, 0, 1, 2 };
	struct wire wire;
	struct seen seen;
	size_t before;

	(void)state;
	begin(&wire, &seen, &ops);
	before = count_fds();
	assert_int_equal(fd_send(wire.far, "x", 1, fds, 6), 0);
	RUN_UNTIL(&wire.loop, seen.bytes.len == 1);
	assert_int_equal(count_fds(), before);
	seen.take_fds = true;
	assert_int_equal(fd_send(wire.far, "y", 1, fds, 2), 0);
	RUN_UNTIL(&wire.loop, seen.bytes.len == 2);
	assert_true(seen.fd >= 0);
	assert_true(fcntl(seen.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(count_fds(), before + 1);
	end(&wire, &seen);
}

static void a_slow_reader_gets_everything_in_order(void **state)
{
	struct wire wire;
	struct seen seen;
	int i;

	(void)state;
	begin(&wire, &seen, &ops);
	for (i = 0; i < 50000; i++) {
		char line[32];
		int len = snprintf(line, sizeof(line), "line %d\n", i);

		assert_int_equal(channel_send(seen.channel, line, len, -1), 0);
	}
	for (i = 0; i < 50000; i++) {
		const char *line = wire_hear(&wire);

		assert_non_null(line);
		assert_int_equal(atoi(line + 5), i);
	}
	end(&wire, &seen);
}

static void a_peer_that_does_not_read_is_closed(void **state)
{
	char bytes[8192] = { 0 };
	struct wire wire;
	struct seen seen;
	size_t sent = 0;
	int r;

	(void)state;
	begin(&wire, &seen, &ops);
	while ((r = channel_send(seen.channel, bytes, sizeof(bytes), -1)) == 0)
		sent += sizeof(bytes);
	assert_int_equal(r, -ENOBUFS);
	assert_true(sent >= 1 << 20);
	assert_true(sent < 3 << 20);
	assert_int_equal(seen.n_closed, 0);
	RUN_UNTIL(&wire.loop, seen.n_closed);
	assert_string_equal(seen.reason, "the peer does not read what it is sent");
	end(&wire, &seen);
}

static void ending_sends_what_waits_first(void **state)
{
	size_t left = 900000;
	struct wire wire;
	struct seen seen;
	char bytes[65536];

	(void)state;
	begin(&wire, &seen, &ops);
	fill(&seen, left);
	channel_end(seen.channel);
	assert_int_equal(channel_send(seen.channel, "x", 1, -1), -EPIPE);
	wire_idle(&wire);
	assert_int_equal(seen.n_closed, 0);
	while (left) {
		ssize_t got = recv(wire.far, bytes, sizeof(bytes), MSG_DONTWAIT);

		assert_int_not_equal(got, 0);
		if (got > 0)
			left -= got;
		uv_run(&wire.loop, UV_RUN_NOWAIT);
	}
	RUN_UNTIL(&wire.loop, seen.n_closed);
	assert_null(wire_hear(&wire));
	end(&wire, &seen);
}

static void a_half_closed_peer_still_hears(void **state)
{
	struct wire wire;
	struct seen seen;

	(void)state;
	begin(&wire, &seen, &half_ops);
	assert_true(wire_say(&wire, "all"));
	assert_int_equal(shutdown(wire.far, SHUT_WR), 0);
	RUN_UNTIL(&wire.loop, seen.n_ends);
	assert_int_equal(channel_send(seen.channel, "heard\n", 6, -1), 0);
	assert_string_equal(wire_hear(&wire), "heard");
	wire_idle(&wire);
	assert_int_equal(seen.n_ends, 1);
	assert_int_equal(seen.n_closed, 0);
	channel_end(seen.channel);
	RUN_UNTIL(&wire.loop, seen.n_closed);
	end(&wire, &seen);
}

static void a_peer_that_is_gone_is_no_half_closed_one(void **state)
{
	struct wire wire;
	struct seen seen;

	(void)state;
	begin(&wire, &seen, &half_ops);
	close(take_fd(&wire.far));
	RUN_UNTIL(&wire.loop, seen.n_closed);
	assert_int_equal(seen.n_ends, 0);
	end(&wire, &seen);
}

static void a_paused_channel_reads_nothing(void **state)
{
	struct wire wire;
	struct seen seen;

	(void)state;
	begin(&wire, &seen, &ops);
	channel_set_reading(seen.channel, false);
	assert_true(wire_say(&wire, "later"));
	wire_idle(&wire);
	assert_int_equal(seen.bytes.len, 0);
	channel_set_reading(seen.channel, true);
	RUN_UNTIL(&wire.loop, seen.bytes.len == 5);
	end(&wire, &seen);
}

static void a_turn_comes_once_and_from_the_loop(void **state)
{
	struct wire wire;
	struct seen seen;

	(void)state;
	begin(&wire, &seen, &ops);
	channel_ask_turn(seen.channel);
	channel_ask_turn(seen.channel);
	assert_int_equal(seen.n_turns, 0);
	RUN_UNTIL(&wire.loop, seen.n_turns);
	wire_idle(&wire);
	assert_int_equal(seen.n_turns, 1);
	end(&wire, &seen);
}

static void what_is_no_socket_is_refused_and_stays_the_callers(void **state)
{
	struct channel_options options = { .ops = &ops, .out_max = 1 };
	struct channel *channel = NULL;
	struct error err = { 0 };
	uv_loop_t loop;

	(void)state;
	assert_int_equal(uv_loop_init(&loop), 0);
	assert_true(channel_new(&loop, -1, &options, &channel, &err) < 0);
	assert_null(channel);
	assert_non_null(strstr(err.text, "watch a socket"));
	assert_int_equal(uv_loop_close(&loop), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(bytes_go_both_ways),
		cmocka_unit_test(the_end_is_told_once_and_with_a_reason),
		cmocka_unit_test(what_came_before_a_reset_is_still_read),
		cmocka_unit_test(breaking_is_told_later_not_from_within),
		cmocka_unit_test(nothing_comes_after_free),
		cmocka_unit_test(a_descriptor_goes_with_its_message),
		cmocka_unit_test(a_descriptor_that_waits_is_a_duplicate_that_is_closed_later),
		cmocka_unit_test(descriptors_nobody_takes_are_closed),
		cmocka_unit_test(a_slow_reader_gets_everything_in_order),
		cmocka_unit_test(a_peer_that_does_not_read_is_closed),
		cmocka_unit_test(ending_sends_what_waits_first),
		cmocka_unit_test(a_half_closed_peer_still_hears),
		cmocka_unit_test(a_peer_that_is_gone_is_no_half_closed_one),
		cmocka_unit_test(a_paused_channel_reads_nothing),
		cmocka_unit_test(a_turn_comes_once_and_from_the_loop),
		cmocka_unit_test(what_is_no_socket_is_refused_and_stays_the_callers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
