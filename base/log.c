/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/log.h"

#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <syslog.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/journal.h"
#include "base/log_output.h"
#include "base/str.h"

static const char *const level_names[] = {
	[LOG_LEVEL_ERROR] = "error",
	[LOG_LEVEL_WARNING] = "warning",
	[LOG_LEVEL_NOTICE] = "notice",
	[LOG_LEVEL_INFO] = "info",
	[LOG_LEVEL_DEBUG] = "debug",
};

/* As syslog has them; sd-daemon(3). */
static const int priorities[] = {
	[LOG_LEVEL_ERROR] = LOG_ERR,
	[LOG_LEVEL_WARNING] = LOG_WARNING,
	[LOG_LEVEL_NOTICE] = LOG_NOTICE,
	[LOG_LEVEL_INFO] = LOG_INFO,
	[LOG_LEVEL_DEBUG] = LOG_DEBUG,
};

static enum log_level max_level = LOG_LEVEL_NOTICE;
static enum log_format line_format = LOG_FORMAT_TEXT;
static const char *vm_name;

int log_level_from_name(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(level_names) / sizeof(level_names[0]); i++) {
		if (strcmp(name, level_names[i]) == 0)
			return i;
	}
	return -1;
}

void log_set_level(enum log_level level)
{
	max_level = level;
}

void log_set_format(enum log_format format)
{
	line_format = format;
}

void log_set_vm(const char *name)
{
	vm_name = name;
}

/* @text as the inside of a JSON string: str_printable() has left no control character. */
static void json_append(struct str *line, const char *text)
{
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			str_append(line, "\\");
		str_append_bytes(line, text, 1);
	}
}

static void line_append(struct str *line, enum log_level level, const char *text)
{
	if (journal_is_stream(STDERR_FILENO))
		str_printf(line, "<%d>", priorities[level]);
	if (line_format == LOG_FORMAT_TEXT) {
		str_printf(line, "vmlatch: %s%s%s%s%s\n", vm_name ? vm_name : "",
			vm_name ? ": " : "", level == LOG_LEVEL_WARNING ? "warning: " : "",
			level == LOG_LEVEL_DEBUG ? "debug: " : "", text);
		return;
	}
	str_printf(line, "{\"time\": %lld, \"level\": \"%s\", ", (long long)clock_realtime_s(),
		level_names[level]);
	if (vm_name)
		str_printf(line, "\"vm\": \"%s\", ", vm_name);
	str_append(line, "\"message\": \"");
	json_append(line, text);
	str_append(line, "\"}\n");
}

/* What was lost is told as soon as there is somebody again. */
static void line_write(const struct str *line)
{
	static unsigned lost;
	_cleanup_(str_finish) struct str told = { 0 };
	char text[64];

	if (lost) {
		snprintf(text, sizeof(text), "%u lines before this one were lost", lost);
		line_append(&told, LOG_LEVEL_WARNING, text);
		if (!told.failed && log_output_write(told.text, told.len))
			lost = 0;
	}
	if (lost || !log_output_write(line->text, line->len))
		lost++;
}

void log_write(enum log_level level, const char *fmt, ...)
{
	_cleanup_(str_finish) struct str line = { 0 };
	char raw[1024], text[2048];
	int saved = errno;
	va_list args;

	if (level > max_level)
		return;
	va_start(args, fmt);
	str_format_short(raw, sizeof(raw), fmt, args);
	va_end(args);
	line_append(&line, level, str_printable(raw, text, sizeof(text)));
	if (!line.failed && line.text)
		line_write(&line);
	errno = saved;
}
