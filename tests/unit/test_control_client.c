/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/unix_socket.h"
#include "launcher/control_client.h"
#include "tests/unit/temporary.h"

#define GREETING   "{\"QMP\": {\"version\": {}, \"capabilities\": []}}\r\n"
#define NEGOTIATED "{\"return\": {}}\r\n"

/*
 * A scripted server: for each line that the client sends, it says the next
 * piece. The first piece is said at once; a NULL ends the connection.
 */
static struct temporary place;
static char *path;
static pid_t server;

static int set_up(void **state)
{
	(void)state;
	if (temporary_make(&place) < 0)
		return -1;
	path = temporary_path(&place, "qmp.sock");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	if (server > 0) {
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
		server = 0;
	}
	free(take_ptr(path));
	temporary_remove(&place);
	return 0;
}

/* Until the end of a line from the client. */
static bool await_line(int fd)
{
	char byte;

	do {
		if (read(fd, &byte, 1) != 1)
			return false;
	} while (byte != '\n');
	return true;
}

static int serve(int listening, const char *const *script)
{
	int fd = accept(listening, NULL, NULL);

	for (; *script; script++) {
		if (fd_write_all(fd, *script, strlen(*script)) < 0)
			return 1;
		if (!await_line(fd))
			return 0;
	}
	return 0;
}

static void start_server(const char *const *script)
{
	struct error err = { 0 };
	int listening = unix_socket_listen(path, NULL, &err);

	if (listening < 0)
		abort();
	server = fork();
	if (server < 0)
		abort();
	if (server == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		_exit(serve(listening, script));
	}
	close(listening);
}

#define SCRIPT(...) ((const char *const[]){ GREETING, NEGOTIATED, __VA_ARGS__, NULL })

static void open_client(struct control_client *client)
{
	struct error err = { 0 };

	*client = (struct control_client)CONTROL_CLIENT_INIT;
	if (control_client_open(client, path, &err) < 0)
		fail_msg("%s", err.text);
}

static void a_command_is_answered(void **state)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	struct error err = { 0 };

	(void)state;
	start_server(SCRIPT("{\"return\": {\"running\": true}}\n"));
	open_client(&client);
	assert_int_equal(control_client_call(&client, "query-status", NULL, &err), 0);
	assert_true(json_is_true(json_object_get(client.reply, "running")));
}

static void a_refusal_has_the_servers_words_and_class(void **state)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	struct error err = { 0 };

	(void)state;
	start_server(
		SCRIPT("{\"error\": {\"class\": \"VmlatchBusy\", \"desc\": \"a is in use\"}}\n",
			"{\"return\": 7}\n"));
	open_client(&client);
	assert_int_equal(control_client_call(&client, "vmlatch-acquire",
				 json_pack("{s:b}", "force-stale", 0), &err),
		CONTROL_REFUSED);
	assert_string_equal(err.text, "a is in use");
	assert_string_equal(client.error_class, CONTROL_BUSY);
	assert_null(client.reply);
	assert_int_equal(control_client_call(&client, "x", NULL, &err), 0); /* it lives on */
	assert_string_equal(client.error_class, "");
	assert_int_equal(json_integer_value(client.reply), 7);
}

static void count(void *data, const json_t *event)
{
	if (json_object_get(event, "event"))
		(*(int *)data)++;
}

static void events_in_between_go_to_their_reader(void **state)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	struct error err = { 0 };
	int events = 0;

	(void)state;
	start_server(SCRIPT("{\"event\": \"STOP\"}\n{\"event\": \"A\"}\n{\"return\": {}}\n"
			    "{\"event\": \"B\"}\n"));
	open_client(&client);
	client.on_event = count;
	client.event_data = &events;
	assert_int_equal(control_client_call(&client, "stop", NULL, &err), 0);
	assert_true(events >= 2);
	while (events < 3)
		assert_int_equal(control_client_pump(&client, 1000, &err), 0);
}

static void events_without_a_reader_are_dropped(void **state)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	struct error err = { 0 };

	(void)state;
	start_server(SCRIPT("{\"event\": \"STOP\"}\n{\"return\": {}}\n"));
	open_client(&client);
	assert_int_equal(control_client_call(&client, "stop", NULL, &err), 0);
}

static void silence_ends_at_the_deadline(void **state)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	struct error err = { 0 };

	(void)state;
	start_server(SCRIPT("{\"event\": \"X\"}\n", "never"));
	open_client(&client);
	client.timeout_ms = 50;
	assert_int_equal(control_client_call(&client, "stop", NULL, &err), -ETIMEDOUT);
	assert_string_equal(err.text, "its supervisor does not answer in time");
	assert_int_equal(err.status, EX_UNAVAILABLE);
	assert_int_equal(control_client_pump(&client, 0, &err), 0); /* nothing is no failure here */
}

static void a_server_that_hangs_up_is_noticed(void **state)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	struct error err = { 0 };

	(void)state;
	start_server((const char *const[]){ GREETING, NEGOTIATED "{\"return\": ", NULL });
	open_client(&client);
	assert_int_equal(control_client_call(&client, "a", NULL, &err), -ECONNRESET);
	assert_int_equal(err.status, EX_UNAVAILABLE);
}

static void who_does_not_speak_qmp_is_refused(void **state)
{
	static const char *const greetings[] = { "hello\n", "{}\n", "[1]\n", "{\"QMP\": 1}\n", "\n",
		"{\"QMP\": {}, \"QMP\": {}}\n" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(greetings) / sizeof(greetings[0]); i++) {
		_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
		const char *const script[] = { greetings[i], "", NULL };
		struct error err = { 0 };

		start_server(script);
		assert_int_equal(control_client_open(&client, path, &err), -EPROTO);
		assert_string_equal(err.text, "its supervisor does not speak QMP");
		assert_int_equal(client.fd, -1);
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
		server = 0;
	}
}

static void an_answer_that_is_none_is_refused(void **state)
{
	static const char *const answers[] = { "{}\n", "{\"error\": {}}\n", "{\"error\": 1}\n",
		"{\"error\": {\"class\": 1, \"desc\": \"x\"}}\n", "\xff\n" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(answers) / sizeof(answers[0]); i++) {
		_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
		struct error err = { 0 };

		start_server(SCRIPT(answers[i], ""));
		open_client(&client);
		assert_int_equal(control_client_call(&client, "a", NULL, &err), -EPROTO);
		kill(server, SIGKILL);
		waitpid(server, NULL, 0);
		server = 0;
	}
}

static void an_endless_line_is_cut_off(void **state)
{
	_cleanup_(control_client_close) struct control_client client = CONTROL_CLIENT_INIT;
	_cleanup_(freep) char *line = malloc(20 * 1024 * 1024 + 1);
	struct error err = { 0 };

	(void)state;
	memset(line, 'x', 20 * 1024 * 1024);
	line[20 * 1024 * 1024] = '\0';
	start_server(SCRIPT(line));
	open_client(&client);
	assert_int_equal(control_client_call(&client, "a", NULL, &err), -EMSGSIZE);
}

static void nobody_there_is_an_error_with_the_path(void **state)
{
	struct control_client client = CONTROL_CLIENT_INIT;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(control_client_open(&client, path, &err), -ENOENT);
	assert_non_null(strstr(err.text, path));
	assert_int_equal(err.status, EX_UNAVAILABLE);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_command_is_answered),
		TEST(a_refusal_has_the_servers_words_and_class),
		TEST(events_in_between_go_to_their_reader),
		TEST(events_without_a_reader_are_dropped),
		TEST(silence_ends_at_the_deadline),
		TEST(a_server_that_hangs_up_is_noticed),
		TEST(who_does_not_speak_qmp_is_refused),
		TEST(an_answer_that_is_none_is_refused),
		TEST(an_endless_line_is_cut_off),
		TEST(nobody_there_is_an_error_with_the_path),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
