/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "qmp/message.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "base/allocation.h"
#include "base/cleanup.h"
#include "qmp/dialect.h"

#define LINE_END "\r\n"

static int parse_failed(const json_error_t *why, struct error *err)
{
	char near[JSON_ERROR_TEXT_LENGTH];

	return error_set(
		err, -EINVAL, "JSON parse error, %s", str_printable(why->text, near, sizeof(near)));
}

/*
 * What is plain JSON is parsed as it is. The detour is only made where it can
 * help: it costs a copy, and its words about an error would speak of bytes that
 * the peer did not send.
 */
int message_parse(const char *bytes, size_t len, json_t **ret, struct error *err)
{
	const size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY;
	_cleanup_(str_finish) struct str plain = { 0 };
	json_auto_t *tree = NULL;
	json_error_t why, first;

	/* behind a number jansson would pass over it */
	if (memchr(bytes, '\0', len))
		return error_set(err, -EINVAL, "JSON parse error, a NUL byte");
	allocation_watch();
	tree = json_loadb(bytes, len, flags, &first);
	if (!tree) {
		dialect_to_json(bytes, len, &plain);
		if (!plain.failed)
			tree = json_loadb(plain.text, plain.len, flags, &why);
	}
	if (allocation_failed() || plain.failed)
		return error_set(err, -ENOMEM, "out of memory");
	if (!tree)
		return parse_failed(dialect_has_quotes(bytes, len) ? &why : &first, err);
	*ret = take_ptr(tree);
	return 0;
}

static int append_piece(const char *bytes, size_t len, void *data)
{
	struct str *out = data;

	str_append_bytes(out, bytes, len);
	return out->failed ? -1 : 0;
}

static void append_tree(struct str *out, json_t *tree)
{
	if (json_dump_callback(tree, append_piece, out, JSON_COMPACT | JSON_ENCODE_ANY) < 0)
		out->failed = true;
}

/* Words may come from anywhere (a file name); what is not UTF-8 is shown as \xNN. */
static void append_string(struct str *out, const char *text)
{
	_cleanup_(freep) char *printable = NULL;
	json_t *string = json_string(text);

	if (!string) {
		printable = malloc(strlen(text) * 4 + 1);
		if (printable)
			string = json_string(str_printable(text, printable, strlen(text) * 4 + 1));
	}
	if (string)
		append_tree(out, string);
	else
		out->failed = true;
	json_decref(string);
}

static void append_end(struct str *out, const char *id)
{
	if (id) {
		str_append(out, ",\"id\":");
		str_append(out, id);
	}
	str_append(out, "}" LINE_END);
}

void message_command(struct str *out, const char *command, json_t *arguments)
{
	str_append(out, "{\"execute\":");
	append_string(out, command);
	if (arguments) {
		str_append(out, ",\"arguments\":");
		append_tree(out, arguments);
	}
	append_end(out, NULL);
}

void message_return(struct str *out, json_t *value, const char *id)
{
	str_append(out, "{\"return\":");
	append_tree(out, value);
	append_end(out, id);
}

void message_error(struct str *out, const char *class, const char *desc, const char *id)
{
	str_append(out, "{\"error\":{\"class\":");
	append_string(out, class);
	str_append(out, ",\"desc\":");
	append_string(out, desc);
	str_append(out, "}");
	append_end(out, id);
}

void message_event(struct str *out, const char *name, json_t *data)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	str_printf(out, "{\"timestamp\":{\"seconds\":%lld,\"microseconds\":%ld},\"event\":",
		(long long)now.tv_sec, now.tv_nsec / 1000);
	append_string(out, name);
	if (data) {
		str_append(out, ",\"data\":");
		append_tree(out, data);
	}
	append_end(out, NULL);
}

void message_greeting(struct str *out, struct message_version qemu)
{
	struct message_version own = { 0 };

	sscanf(VMLATCH_VERSION, "%d.%d.%d", &own.major, &own.minor, &own.micro);
	str_printf(out,
		"{\"QMP\":{\"version\":{\"qemu\":{\"major\":%d,\"minor\":%d,\"micro\":%d},"
		"\"vmlatch\":{\"major\":%d,\"minor\":%d,\"micro\":%d},"
		"\"package\":\"vmlatch " VMLATCH_VERSION "\"},\"capabilities\":[]}",
		qemu.major, qemu.minor, qemu.micro, own.major, own.minor, own.micro);
	append_end(out, NULL);
}
