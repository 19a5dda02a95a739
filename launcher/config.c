/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/config.h"

#include <ini.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "base/str.h"

#define CONFIG_MAX  (1024 * 1024)
#define DEFAULT_DIR "/etc/vmlatch"

/*
 * inih has traps: it breaks a line that is too long into several keys, cuts a
 * value at " ;", and takes an indented line for the rest of the value above. So
 * it gets its lines from us, one by one, and such lines never reach it. It also
 * tells no line numbers to its handler, and goes on after an error: the count
 * and the first error are kept here.
 */
struct reading {
	const struct config_sink *sink;
	const char *name; /* of the file */
	const char *at, *end;
	unsigned line;
	struct strv keys; /* so far */
	int code;
	struct error *err;
};

static int fail(struct reading *reading, int code, const char *sentence)
{
	if (reading->code)
		return reading->code;
	reading->code = code;
	if (sentence)
		error_set(reading->err, code, "%s", sentence);
	error_status(reading->err, code, EX_CONFIG);
	return error_prefix(reading->err, code, "%s:%u", reading->name, reading->line);
}

/* What inih would misread, as a sentence; NULL: nothing. */
static const char *trap_in(const char *line)
{
	const char *semicolon;

	if (!line[0] || line[0] == '#' || line[0] == ';')
		return NULL;
	if (line[0] == '[')
		return strcmp(line, "[vmlatch]") == 0 ? NULL : "the only section is [vmlatch]";
	if (!strpbrk(line, "=:"))
		return "this is neither KEY = VALUE nor a comment";
	for (semicolon = strchr(line, ';'); semicolon; semicolon = strchr(semicolon + 1, ';')) {
		if (semicolon > line && (semicolon[-1] == ' ' || semicolon[-1] == '\t'))
			return "a comment needs a line of its own";
	}
	return NULL;
}

/* inih's fgets(). */
static char *next_line(char *line, int size, void *stream)
{
	struct reading *reading = stream;
	const char *from = reading->at, *newline, *trap;
	size_t len;

	if (reading->code || from >= reading->end)
		return NULL;
	reading->line++;
	newline = memchr(from, '\n', reading->end - from);
	len = (newline ? newline : reading->end) - from;
	reading->at = newline ? newline + 1 : reading->end;
	while (len && (*from == ' ' || *from == '\t')) {
		from++;
		len--;
	}
	while (len && strchr(" \t\r", from[len - 1]))
		len--;
	if (memchr(from, '\0', len))
		return fail(reading, -EINVAL, "a NUL byte is no text"), NULL;
	if (len + 3 > (size_t)size)
		return fail(reading, -EINVAL, "the line is too long"), NULL;
	memcpy(line, from, len);
	line[len] = '\0';
	trap = trap_in(line);
	if (trap)
		return fail(reading, -EINVAL, trap), NULL;
	return line;
}

/* Twice in one file is a slip: which of the two was meant? */
static int note_key(struct reading *reading, const char *key)
{
	if (str_equal(reading->sink->repeatable, key))
		return 0;
	if (strv_has(&reading->keys, key))
		return error_set(reading->err, -EINVAL, "'%.64s' is set a second time", key);
	if (strv_add(&reading->keys, key) < 0)
		return error_set(reading->err, -ENOMEM, "out of memory");
	return 0;
}

/* inih's handler: nonzero is success. */
static int take_key(void *data, const char *section, const char *key, const char *value)
{
	struct reading *reading = data;
	int ret;

	(void)section; /* next_line() has seen to it */
	if (reading->code)
		return 0;
	ret = note_key(reading, key);
	if (ret == 0)
		ret = reading->sink->set(reading->sink->data, key, value, reading->err);
	if (ret == 0)
		return 1;
	fail(reading, ret, NULL);
	return 0;
}

int config_parse(
	const struct config_text *config, const struct config_sink *sink, struct error *err)
{
	struct reading reading = {
		.sink = sink,
		.name = config->name,
		.at = config->text,
		.end = config->text + config->len,
		.err = err,
	};
	int ret = ini_parse_stream(next_line, &reading, take_key, &reading);

	strv_finish(&reading.keys);
	if (reading.code)
		return reading.code;
	if (ret < 0)
		return error_set(err, -ENOMEM, "out of memory");
	reading.line = ret;
	return ret > 0 ? fail(&reading, -EINVAL, "this cannot be understood") : 0;
}

const char *config_dir(void)
{
	const char *dir = getenv("VMLATCH_CONFIG_DIR");

	return dir && *dir ? dir : DEFAULT_DIR;
}

static int read_failed(const char *path, int code, struct error *err)
{
	static const struct {
		int code;
		int status;
		const char *why;
	} reasons[] = {
		{ -ENOENT, EX_NOINPUT, "there is no such file" },
		{ -EFBIG, EX_CONFIG, "it is larger than 1 MiB" },
		{ -EISDIR, EX_CONFIG, "it is a directory" },
		{ -EINVAL, EX_CONFIG, "it is no regular file" },
		{ -EACCES, EX_NOPERM, "permission denied" },
	};
	size_t i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		if (reasons[i].code == code)
			return error_status(err,
				error_set(err, code, "config file %s: %s", path, reasons[i].why),
				reasons[i].status);
	}
	return error_status(
		err, error_set(err, code, "config file %s: %s", path, strerror(-code)), EX_OSERR);
}

int config_read_text(
	const char *path, enum config_need need, char **ret, size_t *ret_len, struct error *err)
{
	int code = file_read_at(AT_FDCWD, path, 0, CONFIG_MAX, ret, ret_len);

	if (code == -ENOENT && need == CONFIG_OPTIONAL)
		return CONFIG_NO_FILE;
	return code < 0 ? read_failed(path, code, err) : 0;
}

int config_read_file(
	const char *path, enum config_need need, const struct config_sink *sink, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	size_t len;
	int ret = config_read_text(path, need, &text, &len, err);

	if (ret != 0)
		return ret == CONFIG_NO_FILE ? 0 : ret;
	return config_parse(
		&(struct config_text){ .name = path, .text = text, .len = len }, sink, err);
}

static int is_config(const struct dirent *entry)
{
	const char *dot = strrchr(entry->d_name, '.');

	return entry->d_name[0] != '.' && dot && strcmp(dot, ".conf") == 0;
}

/* Not alphasort(): the order must not hang on the language. */
static int by_bytes(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int read_member(
	const char *dir, const char *name, const struct config_sink *sink, struct error *err)
{
	_cleanup_(str_finish) struct str path = { 0 };

	str_printf(&path, "%s/%s", dir, name);
	if (path.failed)
		return error_set(err, -ENOMEM, "out of memory");
	return config_read_file(path.text, CONFIG_REQUIRED, sink, err);
}

int config_read_dir(const char *path, const struct config_sink *sink, struct error *err)
{
	struct dirent **entries = NULL;
	int n, i, ret = 0;

	n = scandir(path, &entries, is_config, by_bytes);
	if (n < 0)
		return errno == ENOENT ? 0 : read_failed(path, -errno, err);
	for (i = 0; i < n; i++) {
		if (ret == 0)
			ret = read_member(path, entries[i]->d_name, sink, err);
		free(entries[i]);
	}
	free(entries);
	return ret;
}
