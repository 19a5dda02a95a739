/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "launcher/doctor/report.h"

/*
 * Find out all about one directory. It may block for ever where a server is away;
 * examine_guarded() is for that.
 *
 * Returns 0, or -errno with a sentence and its exit status: it is not there, is no
 * directory, or may not be entered.
 */
struct doctor_view {
	bool json;
	struct str text; /* what is to be printed; one JSON value, or lines */
	int status;      /* the exit status */
};
int examine(const char *path, const struct probe_names *names, struct doctor_view *view,
	struct error *err);
