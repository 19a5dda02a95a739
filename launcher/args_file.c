/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/args_file.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/cleanup.h"

#define BLANKS " \t\r"

static int fail(const char *name, unsigned line, const char *sentence, struct error *err)
{
	error_set(err, -EINVAL, "%s:%u: %s", name, line, sentence);
	return error_status(err, -EINVAL, EX_CONFIG);
}

/* Cut off what is around it. */
static void trim(const char **from, size_t *len)
{
	while (*len && strchr(BLANKS, **from)) {
		(*from)++;
		(*len)--;
	}
	while (*len && strchr(BLANKS, (*from)[*len - 1]))
		(*len)--;
}

static int take_line(const char *from, size_t len, struct strv *args)
{
	_cleanup_(freep) char *text = NULL;

	trim(&from, &len);
	if (!len || *from == '#')
		return 0;
	text = strndup(from, len);
	return text ? strv_add(args, text) : -ENOMEM;
}

int args_file_parse(const struct config_text *file, struct strv *ret, struct error *err)
{
	_cleanup_(strv_finish) struct strv args = { 0 };
	const char *at = file->text, *end = at + file->len;
	unsigned line = 0;
	int code = 0;

	while (code == 0 && at < end) {
		const char *newline = memchr(at, '\n', end - at);
		const char *stop = newline ? newline : end;

		line++;
		if (memchr(at, '\0', stop - at))
			return fail(file->name, line, "a NUL byte is no text", err);
		code = take_line(at, stop - at, &args);
		at = stop + 1;
	}
	if (code < 0)
		return error_set(err, code, "out of memory");
	if (!args.n)
		return fail(file->name, line,
			"no QEMU is named: it is the first argument, and each has a line of its "
			"own",
			err);
	*ret = args;
	args = (struct strv){ 0 };
	return 0;
}

int args_file_read(const char *name, struct strv *ret, struct error *err)
{
	_cleanup_(str_finish) struct str path = { 0 };
	_cleanup_(freep) char *text = NULL;
	size_t len;
	int code;

	str_printf(&path, "%s/vm/%s.args", config_dir(), name);
	if (path.failed)
		return error_set(err, -ENOMEM, "out of memory");
	code = config_read_text(path.text, CONFIG_OPTIONAL, &text, &len, err);
	if (code == CONFIG_NO_FILE)
		return error_status(err,
			error_set(err, -ENOENT,
				"no QEMU was given, and there is no %s to take its arguments from",
				path.text),
			EX_NOINPUT);
	if (code < 0)
		return code;
	return args_file_parse(
		&(struct config_text){ .name = path.text, .text = text, .len = len }, ret, err);
}
