/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "launcher/doctor/examine.h"

/*
 * Examine a directory in a process of its own: this one stays awake for signals
 * and the clock, whatever the file system does.
 *
 *	a signal	ends that process, removes its file, and then this one too
 *	the deadline	leaves it alone: it may be in the kernel, where no signal ends
 *			it; once the file system answers again it removes its file itself
 *	our SIGKILL	likewise
 *
 * Returns 0 or -errno with a sentence and its exit status.
 */
int examine_guarded(
	const char *path, int64_t timeout_ms, struct doctor_view *view, struct error *err);
