/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/error.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

int error_set(struct error *err, int code, const char *fmt, ...)
{
	int saved = errno;
	va_list args;

	if (!err)
		return code;
	va_start(args, fmt);
	vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	errno = saved;
	return code;
}

int error_prefix(struct error *err, int code, const char *fmt, ...)
{
	char rest[sizeof(err->text)];
	int saved = errno;
	va_list args;
	size_t len;
	int n;

	if (!err)
		return code;
	memcpy(rest, err->text, sizeof(rest));
	va_start(args, fmt);
	n = vsnprintf(err->text, sizeof(err->text), fmt, args);
	va_end(args);
	len = n < 0 ? 0 : (size_t)n;
	if (len < sizeof(err->text))
		snprintf(err->text + len, sizeof(err->text) - len, ": %.*s",
			(int)(sizeof(err->text) - len), rest);
	errno = saved;
	return code;
}

int error_status(struct error *err, int code, int status)
{
	if (err && !err->status)
		err->status = status;
	return code;
}
