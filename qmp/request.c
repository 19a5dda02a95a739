/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdarg.h>
#include <stdlib.h>

#include "base/str.h"
#include "qmp/peer.h"

/* A command that waits for the owner's answer; its client may be gone by then. */

#define WORDS_SIZE 1024

const char *qmp_request_command(const struct qmp_request *request)
{
	return request->command.name;
}

json_t *qmp_request_arguments(const struct qmp_request *request)
{
	return request->command.arguments;
}

/* Takes @text over. */
static void request_finish(struct qmp_request *request, struct str *text)
{
	struct peer *peer = request->peer;

	command_finish(&request->command);
	free(request);
	if (peer)
		peer_answer(peer, text);
	else
		str_finish(text);
}

void qmp_request_reply(struct qmp_request *request, json_t *value)
{
	json_t *answer = value ? value : json_object();
	struct str text = { 0 };

	message_return(&text, answer, request->command.id);
	json_decref(answer);
	request_finish(request, &text);
}

void qmp_request_fail(struct qmp_request *request, const char *class, const char *fmt, ...)
{
	struct str text = { 0 };
	char desc[WORDS_SIZE];
	va_list args;

	va_start(args, fmt);
	str_format_short(desc, sizeof(desc), fmt, args);
	va_end(args);
	message_error(&text, class ? class : QMP_CLASS_GENERIC, desc, request->command.id);
	request_finish(request, &text);
}

void qmp_request_not_found(struct qmp_request *request)
{
	qmp_request_fail(request, QMP_CLASS_COMMAND_NOT_FOUND,
		"The command %.128s has not been found", request->command.name);
}
