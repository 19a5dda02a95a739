/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/exit_status.h"

#include <errno.h>
#include <stddef.h>

#include "base/log.h"

int exit_status(int code, const struct error *err)
{
	static const struct {
		int code;
		int status;
	} table[] = {
		{ -ENOENT, EX_NOINPUT },
		{ -EACCES, EX_NOPERM },
		{ -EPERM, EX_NOPERM },
		{ -ETIMEDOUT, EX_UNAVAILABLE },
		{ -ECONNRESET, EX_UNAVAILABLE },
		{ -ECONNREFUSED, EX_UNAVAILABLE },
		{ -ENOTCONN, EX_SOFTWARE },
		{ -EINVAL, EX_SOFTWARE },
		{ -EFAULT, EX_SOFTWARE },
		{ -EBADF, EX_SOFTWARE },
		{ -ENOSYS, EX_SOFTWARE },
	};
	size_t i;

	if (code >= 0)
		return 0;
	if (err && err->status)
		return err->status;
	for (i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		if (table[i].code == code)
			return table[i].status;
	}
	return EX_OSERR;
}

int exit_failure(int code, const struct error *err)
{
	if (code < 0)
		log_error("%s", err->text);
	return exit_status(code, err);
}
