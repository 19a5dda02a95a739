/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/unix_socket.h"
#include "fault.h"
#include "fault_each.h"
#include "qmp/client.h"
#include "qmp/server.h"
#include "wire.h"

/*
 * With each call failing once: who asks is answered, refused or hung up on, but
 * never left waiting; nothing is left behind.
 */
#define HELLO   "{\"execute\":\"qmp_capabilities\"}"
#define COMMAND "{\"execute\":\"now\",\"arguments\":{\"what\":['quoted']},\"id\":1.50}"

static uv_loop_t loop;
static char path[64];

/* The far end. It has its own memory: nothing of it may fail. */
struct far {
	int fd;
	char line[4096]; /* what is heard of the next one */
	size_t len;
};

/* What is there, without waiting. False: hung up. */
static bool far_hear(struct far *far)
{
	ssize_t n;

	while ((n = recv(far->fd, far->line + far->len, 1, MSG_DONTWAIT)) == 1) {
		far->len++;
		assert_true(far->len < sizeof(far->line));
		if (far->line[far->len - 1] == '\n')
			return true;
	}
	return n < 0 && errno == EAGAIN;
}

static bool far_has_line(const struct far *far)
{
	return far->len && far->line[far->len - 1] == '\n';
}

/* The next line is in far->line. False: hung up. */
static bool far_wait(struct far *far)
{
	int64_t end = clock_monotonic_ms() + WIRE_DEADLINE_MS;
	bool open = true;

	far->len = 0;
	while (open && !far_has_line(far)) {
		if (clock_monotonic_ms() > end)
			fail_msg("no answer, and no end: %s failed", fault_name());
		uv_run(&loop, UV_RUN_NOWAIT);
		open = far_hear(far);
	}
	far->line[far->len] = '\0';
	return open;
}

static bool far_says(struct far *far, const char *text)
{
	return send(far->fd, text, strlen(text), MSG_NOSIGNAL) == (ssize_t)strlen(text);
}

static int far_connect(void)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = syscall(SYS_socket, AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0); /* counts not */

	snprintf(address.sun_path, sizeof(address.sun_path), "%s", path);
	assert_int_equal(connect(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void let_run(void)
{
	while (uv_run(&loop, UV_RUN_NOWAIT))
		;
}

static void on_command(void *data, struct qmp_request *request)
{
	(void)data;
	qmp_request_reply(request, json_incref(qmp_request_arguments(request)));
}

static const struct qmp_server_ops server_ops = { on_command, NULL };

/* 0: all was answered; or what went wrong, as a client sees it. */
static int talk(struct qmp_server *server, struct far *far)
{
	static const char event[] = "{\"event\": \"STOP\"}";

	if (!far_wait(far) || strncmp(far->line, "{\"QMP\"", 6) != 0)
		return -ECONNRESET;
	if (!far_says(far, HELLO) || !far_wait(far))
		return -ECONNRESET;
	if (strcmp(far->line, "{\"return\":{}}\r\n") != 0)
		return -EPROTO;
	if (!far_says(far, COMMAND) || !far_wait(far))
		return -ECONNRESET;
	if (strcmp(far->line, "{\"return\":{\"what\":[\"quoted\"]},\"id\":1.50}\r\n") != 0)
		return -EPROTO;
	if (qmp_server_emit(server, event, strlen(event)) < 0)
		return -ENOMEM;
	return far_wait(far) && strncmp(far->line, event, strlen(event)) == 0 ? 0 : -ECONNRESET;
}

static int serve(struct error *err)
{
	struct qmp_server *server = NULL;
	struct far far = { .fd = -1 };
	int fd, ret;

	fd = unix_socket_listen(path, NULL, err);
	if (fd < 0)
		return fd;
	ret = qmp_server_new(&loop, fd, &server_ops, NULL, &server, err);
	if (ret < 0) {
		close(fd);
		return ret;
	}
	far.fd = far_connect();
	ret = talk(server, &far);
	close(far.fd);
	qmp_server_free(server);
	let_run();
	return ret < 0 ? error_set(err, ret, "the client was told: %s", far.line) : 0;
}

static void a_client_is_never_left_waiting(void **state)
{
	(void)state;
	assert_true(fault_each(serve) > 60);
	unlink(path);
}

struct caller {
	int answers;
	int result;
	bool closed;
	struct qmp_client *client;
};

static void on_reply(void *data, const struct qmp_reply *reply)
{
	struct caller *caller = data;

	caller->answers++;
	caller->result = reply->result;
	assert_non_null(reply->words);
}

static void on_ready(void *data, json_t *greeting)
{
	const struct qmp_call call = { on_reply, data, 60000, STDERR_FILENO };
	struct caller *caller = data;
	int ret;

	assert_non_null(greeting);
	ret = qmp_client_call(
		caller->client, "getfd", json_pack("{s:s}", "fdname", "vmlatch-lock-1"), &call);
	if (ret < 0) {
		caller->answers++;
		caller->result = ret;
	}
}

static void on_closed(void *data, const char *reason)
{
	((struct caller *)data)->closed = true;
	assert_string_not_equal(reason, "");
}

static const struct qmp_client_ops client_ops = { on_ready, NULL, on_closed };

/* A monitor: a greeting, then an empty success for each command. */
static void far_answers(struct far *far)
{
	if (!far_hear(far) || !far_has_line(far))
		return;
	far->len = 0;
	far_says(far, "{\"return\": {}}\r\n");
}

static int call(struct error *err)
{
	struct caller caller = { .client = NULL };
	struct far far = { .fd = -1 };
	int pair[2], ret;
	int64_t end = clock_monotonic_ms() + WIRE_DEADLINE_MS;

	assert_int_equal(
		socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	far.fd = pair[1];
	ret = qmp_client_new(&loop, pair[0], &client_ops, &caller, &caller.client, err);
	if (ret < 0) {
		close(pair[0]);
		close(pair[1]);
		return ret;
	}
	far_says(&far, "{\"QMP\": {\"version\": {}, \"capabilities\": [\"oob\"]}}\r\n");
	while (!caller.answers && !caller.closed) {
		if (clock_monotonic_ms() > end)
			fail_msg("no answer, and no end: %s failed", fault_name());
		uv_run(&loop, UV_RUN_NOWAIT);
		far_answers(&far);
	}
	assert_true(caller.answers <= 1);
	ret = caller.answers ? caller.result : -ECONNRESET;
	qmp_client_free(caller.client);
	close(far.fd);
	let_run();
	return ret ? error_set(err, ret, "the call failed") : 0;
}

static void a_call_is_answered_once_or_the_end_is_told(void **state)
{
	(void)state;
	assert_true(fault_each(call) > 40);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_client_is_never_left_waiting),
		cmocka_unit_test(a_call_is_answered_once_or_the_end_is_told),
	};
	int failed;

	snprintf(path, sizeof(path), "/tmp/vmlatch-faults-%d.sock", getpid());
	fault_watch_jansson();
	if (uv_loop_init(&loop) < 0)
		return 1;
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	return uv_loop_close(&loop) < 0 ? 1 : failed;
}
