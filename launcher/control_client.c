/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/control_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/allocation.h"
#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "base/unix_socket.h"
#include "launcher/json_text.h"

#define LINE_MAX_BYTES (16 * 1024 * 1024) /* the largest state.json, and room */
#define READ_STEP      65536

static int fail(int code, struct error *err, const char *sentence)
{
	error_status(err, 0, EX_UNAVAILABLE);
	return error_set(err, code, "%s", sentence);
}

/* When a wait of @timeout_ms ends; -1: never. */
static int64_t deadline_in(int timeout_ms)
{
	return timeout_ms < 0 ? -1 : clock_monotonic_ms() + timeout_ms;
}

static int ms_until(int64_t deadline)
{
	int64_t left = deadline - clock_monotonic_ms();

	if (deadline < 0)
		return -1;
	return left < 0 ? 0 : (int)left;
}

/* More bytes into @input. 0, or -errno with a sentence. */
static int receive(struct control_client *client, int64_t deadline, struct error *err)
{
	struct pollfd poller = { .fd = client->fd, .events = POLLIN };
	char step[READ_STEP];
	ssize_t n;
	int ready;

	do {
		ready = poll(&poller, 1, ms_until(deadline));
	} while (ready < 0 && errno == EINTR);
	if (ready == 0)
		return fail(-ETIMEDOUT, err, "its supervisor does not answer in time");
	n = ready < 0 ? -1 : read(client->fd, step, sizeof(step));
	if (n < 0 && errno == EINTR)
		return 0;
	if (n <= 0) {
		return fail(-ECONNRESET, err, "its supervisor has hung up");
	}
	str_append_bytes(&client->input, step, n);
	if (client->input.failed)
		return error_set(err, -ENOMEM, "out of memory");
	if (client->input.len > LINE_MAX_BYTES)
		return fail(-EMSGSIZE, err, "its supervisor says too much at once");
	return 0;
}

/* The first whole line of @input; 0: there is none yet. Else its length with the end. */
static size_t line_length(struct control_client *client)
{
	const char *text = client->input.text, *end;

	if (client->scanned == client->input.len)
		return 0;
	end = memchr(text + client->scanned, '\n', client->input.len - client->scanned);
	if (!end)
		client->scanned = client->input.len;
	return end ? end - text + 1 : 0;
}

static void drop_line(struct control_client *client, size_t len)
{
	struct str *input = &client->input;

	memmove(input->text, input->text + len, input->len - len);
	input->len -= len;
	client->scanned = 0;
}

/* Take a message that is there. 0 with @ret NULL: none is whole. */
static int take_message(struct control_client *client, json_t **ret, struct error *err)
{
	size_t len = line_length(client);

	*ret = NULL;
	if (!len)
		return 0;
	allocation_watch();
	*ret = json_loadb(client->input.text, len, JSON_REJECT_DUPLICATES, NULL);
	drop_line(client, len);
	if (allocation_failed()) {
		json_decref(take_ptr(*ret));
		return fail(-ENOMEM, err, "out of memory");
	}
	if (!json_is_object(*ret)) {
		json_decref(*ret);
		*ret = NULL;
		return fail(-EPROTO, err, "its supervisor does not speak QMP");
	}
	return 0;
}

/* An event goes to its reader; true if @message was one. */
static bool dispatch_event(struct control_client *client, const json_t *message)
{
	if (!json_is_string(json_object_get(message, "event")))
		return false;
	if (client->on_event)
		client->on_event(client->event_data, message);
	return true;
}

/* The next message that is no event; the caller's. */
static int next_answer(
	struct control_client *client, int64_t deadline, json_t **ret, struct error *err)
{
	int code;

	for (;;) {
		json_auto_t *message = NULL;

		code = take_message(client, &message, err);
		if (code < 0)
			return code;
		if (message && !dispatch_event(client, message)) {
			*ret = json_incref(message);
			return 0;
		}
		if (message)
			continue;
		code = receive(client, deadline, err);
		if (code < 0)
			return code;
	}
}

/* One line, in one write. */
static int send_command(
	struct control_client *client, const char *command, json_t *arguments, struct error *err)
{
	json_auto_t *message = json_pack("{s:s}", "execute", command);
	_cleanup_(str_finish) struct str line = { 0 };
	_cleanup_(freep) char *text = NULL;

	if (message && arguments && json_object_set(message, "arguments", arguments) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	text = message ? json_text_dump(message) : NULL;
	if (text)
		str_printf(&line, "%s\n", text);
	if (!text || line.failed)
		return error_set(err, -ENOMEM, "out of memory");
	if (fd_write_all(client->fd, line.text, line.len) < 0)
		return fail(-ECONNRESET, err, "its supervisor has hung up");
	return 0;
}

static int take_error(struct control_client *client, const json_t *error, struct error *err)
{
	const char *class = json_string_value(json_object_get(error, "class"));
	const char *desc = json_string_value(json_object_get(error, "desc"));

	if (!class || !desc)
		return fail(-EPROTO, err, "its supervisor does not speak QMP");
	snprintf(client->error_class, sizeof(client->error_class), "%s", class);
	return error_set(err, CONTROL_REFUSED, "%s", desc);
}

int control_client_call(
	struct control_client *client, const char *command, json_t *arguments, struct error *err)
{
	int64_t deadline = deadline_in(client->timeout_ms);
	json_auto_t *owned = arguments, *answer = NULL;
	json_t *value;
	int code;

	json_decref(client->reply);
	client->reply = NULL;
	client->error_class[0] = '\0';
	code = send_command(client, command, owned, err);
	if (code == 0)
		code = next_answer(client, deadline, &answer, err);
	if (code < 0)
		return code;
	value = json_object_get(answer, "error");
	if (value)
		return take_error(client, value, err);
	value = json_object_get(answer, "return");
	if (!value)
		return fail(-EPROTO, err, "its supervisor does not speak QMP");
	client->reply = json_incref(value);
	return 0;
}

static int greet(struct control_client *client, struct error *err)
{
	json_auto_t *greeting = NULL;
	int code;

	code = next_answer(client, deadline_in(client->timeout_ms), &greeting, err);
	if (code < 0)
		return code;
	if (!json_is_object(json_object_get(greeting, "QMP")))
		return fail(-EPROTO, err, "its supervisor does not speak QMP");
	code = control_client_call(client, "qmp_capabilities", NULL, err);
	return code > 0 ? fail(-EPROTO, err, "its supervisor does not speak QMP") : code;
}

int control_client_open(struct control_client *client, const char *path, struct error *err)
{
	int code;

	client->fd = unix_socket_connect(path, err);
	if (client->fd < 0)
		return error_status(err, client->fd, EX_UNAVAILABLE);
	code = greet(client, err);
	if (code < 0)
		control_client_close(client);
	return code;
}

void control_client_close(struct control_client *client)
{
	closep(&client->fd);
	client->fd = -1;
	str_finish(&client->input);
	json_decref(client->reply);
	client->reply = NULL;
	client->scanned = 0;
}

/* Hand over the events that are whole: how many there were, or -errno. */
static int drain_events(struct control_client *client, struct error *err)
{
	int n;

	for (n = 0;; n++) {
		json_auto_t *message = NULL;
		int code = take_message(client, &message, err);

		if (code < 0)
			return code;
		if (!message)
			return n;
		if (!dispatch_event(client, message))
			return fail(-EPROTO, err, "its supervisor answers what nobody asked");
	}
}

int control_client_pump(struct control_client *client, int timeout_ms, struct error *err)
{
	int code = drain_events(client, err); /* some may have come with the last answer */

	if (code != 0)
		return code < 0 ? code : 0;
	code = receive(client, deadline_in(timeout_ms), err);
	if (code < 0 && code != -ETIMEDOUT)
		return code;
	code = drain_events(client, err);
	return code < 0 ? code : 0;
}
