/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "qmp/command.h"
#include "qmp/dialect.h"
#include "qmp/frame.h"
#include "qmp/message.h"

/*
 * Whatever a client sends: an answer to it is one line that is one message, that
 * parses, and that carries the same id.
 */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void must(int condition)
{
	if (!condition)
		abort();
}

static void check_line(const struct str *line, const char *id)
{
	struct frame_value echoed;
	struct frame frame;
	json_t *tree = NULL;
	struct error err;
	size_t used;

	must(!line->failed);
	frame_init(&frame, line->len, FRAME_DEPTH_MAX);
	must(frame_scan(&frame, line->text, line->len, &used) == FRAME_MESSAGE);
	must(used == line->len - 2);
	must(memchr(line->text, '\n', line->len) == line->text + line->len - 1);
	must(message_parse(line->text, line->len, &tree, &err) == 0);
	json_decref(tree);
	echoed = frame_find_member(line->text, line->len, "id");
	must((echoed.bytes != NULL) == (id != NULL));
	if (id)
		must(echoed.len == strlen(id) && memcmp(echoed.bytes, id, echoed.len) == 0);
}

static void check_answer(const struct command *command, int result, const struct error *err)
{
	struct str line = { 0 };

	if (result == 0)
		message_return(&line, command->arguments, command->id);
	else
		message_error(&line, QMP_CLASS_GENERIC, err->text, command->id);
	check_line(&line, command->id);
	str_finish(&line);
}

/* What jansson takes as it is, it takes as well after the dialect was made JSON. */
static void check_dialect(const char *bytes, size_t len)
{
	json_t *before = json_loadb(bytes, len, JSON_DECODE_ANY, NULL), *after;
	struct str plain = { 0 };

	dialect_to_json(bytes, len, &plain);
	str_append(&plain, "");
	must(!plain.failed && plain.len <= 2 * len + 2);
	after = json_loadb(plain.text, plain.len, JSON_DECODE_ANY, NULL);
	if (before)
		must(after && json_equal(before, after));
	json_decref(before);
	json_decref(after);
	str_finish(&plain);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	/* a copy of just that size, so that a step too far is seen */
	char *bytes = malloc(size ? size : 1);
	struct command command;
	struct error err = { 0 };
	struct frame frame;
	size_t used;
	int result;

	must(bytes != NULL);
	if (size)
		memcpy(bytes, data, size);
	check_dialect(bytes, size);
	/* only what the scanner calls a message comes to a parser */
	frame_init(&frame, size, FRAME_DEPTH_MAX);
	if (frame_scan(&frame, bytes, size, &used) == FRAME_MESSAGE) {
		result = command_parse(bytes + used - frame.length, frame.length, &command, &err);
		check_answer(&command, result, &err);
		command_finish(&command);
	}
	free(bytes);
	return 0;
}
