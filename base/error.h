/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/public.h"

/*
 * What every function of this project returns:
 *
 *	0	done
 *	> 0	an outcome that the function's own comment names; the direct
 *		caller handles it and never passes it on
 *	< 0	-errno; nobody inspects it, it goes up unchanged
 *
 * and next to it one sentence for people, in a buffer of the caller's; of one that
 * is too long the middle is left out. Nothing here has to be freed, nothing logs:
 * who has the error decides what becomes of it.
 */
struct error {
	char text[512];
	/* the exit status (sysexits.h) that fits, 0 where nobody has named one */
	int status;
};

/* Write the sentence; returns @code. A NULL @err is fine. */
_public_ int error_set(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put "what: " before the sentence that is there; returns @code. */
_public_ int error_prefix(struct error *err, int code, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Put words behind the sentence that is there; returns @code. */
_public_ int error_append(struct error *err, int code, const char *words);

/* Name the exit status; the first one named stays. Returns @code. */
_public_ int error_status(struct error *err, int code, int status);
