/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "server_fixture.h"

#include <setjmp.h>
#include <stdarg.h>

#include <cmocka.h>

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"

static void on_command(void *data, struct qmp_request *request)
{
	const char *command = qmp_request_command(request);
	struct server_test *test = data;

	str_printf(&test->log, "%s ", command);
	assert_true(json_is_object(qmp_request_arguments(request)));
	if (test->free_at_command)
		qmp_server_free(take_ptr(test->server));
	if (strcmp(command, "now") == 0)
		qmp_request_reply(request, json_incref(qmp_request_arguments(request)));
	else if (strcmp(command, "empty") == 0)
		qmp_request_reply(request, NULL);
	else if (strcmp(command, "later") == 0)
		test->kept[test->n_kept++] = request;
	else if (strcmp(command, "busy") == 0)
		qmp_request_fail(request, NULL, "%s is %d%% busy", "disk\xff", 100);
	else
		qmp_request_not_found(request);
}

static bool may_connect(void *data, const struct ucred *peer)
{
	assert_int_equal(peer->pid, getpid());
	return !((struct server_test *)data)->nobody_may;
}

const struct qmp_server_ops ops = { on_command, NULL };
const struct qmp_server_ops asking_ops = { on_command, may_connect };

static int listening_socket(struct server_test *test)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(test->dir, sizeof(test->dir), "/tmp/vmlatch-qmp-XXXXXX");
	assert_non_null(mkdtemp(test->dir));
	snprintf(test->path, sizeof(test->path), "%s/qmp.sock", test->dir);
	strcpy(address.sun_path, test->path);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 64), 0);
	return fd;
}

void begin(struct server_test *test, const struct qmp_server_ops *which)
{
	struct error err;

	*test = (struct server_test){ 0 };
	wire_open(&test->wire);
	close(test->wire.near);
	close(test->wire.far);
	assert_int_equal(qmp_server_new(&test->wire.loop, listening_socket(test), which, test,
				 &test->server, &err),
		0);
	test->wire.far = wire_connect(test->path);
}

void end(struct server_test *test)
{
	qmp_server_free(test->server);
	wire_close(&test->wire);
	str_finish(&test->log);
	unlink(test->path);
	rmdir(test->dir);
}

void hear(struct server_test *test, const char *expected)
{
	const char *line = wire_hear(&test->wire);

	assert_non_null(line);
	assert_string_equal(line, expected);
}

void hear_part(struct server_test *test, const char *part)
{
	const char *line = wire_hear(&test->wire);

	assert_non_null(line);
	if (!strstr(line, part))
		assert_string_equal(line, part); /* shows both */
}

void say(struct server_test *test, const char *text)
{
	assert_true(wire_say(&test->wire, text));
}

void begin_negotiated(struct server_test *test)
{
	begin(test, &ops);
	hear_part(test, "{\"QMP\":");
	say(test, HELLO);
	hear(test, "{\"return\":{}}");
}
