/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <string.h>

#include "base/str.h"

int error_set(struct error *err, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	str_format_short(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	errno = saved;
	return code;
}

int error_prefix(struct error *err, int code, const char *fmt, ...)
{
	char prefix[sizeof(err->text)], rest[sizeof(err->text)];
	int saved = errno;
	va_list args;

	if (!err)
		return code;
	memcpy(rest, err->text, sizeof(rest));
	va_start(args, fmt);
	str_format_short(prefix, sizeof(prefix), fmt, args);
	va_end(args);
	errno = saved;
	return error_set(err, code, "%s: %s", prefix, rest);
}

int error_append(struct error *err, int code, const char *words)
{
	char sentence[sizeof(err->text)];

	if (!err)
		return code;
	memcpy(sentence, err->text, sizeof(sentence));
	return error_set(err, code, "%s%s", sentence, words);
}

int error_status(struct error *err, int code, int status)
{
	if (err && !err->status)
		err->status = status;
	return code;
}
