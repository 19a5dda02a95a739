/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

/* What is to be said about a directory: a bounded list, the rest is counted. */
enum finding_level {
	FINDING_NOTE,    /* nothing is wrong */
	FINDING_WARNING, /* it may keep a VM from starting, or names somebody wrongly */
	FINDING_PROBLEM, /* locks do not protect, or 'run' refuses it */
};
const char *finding_level_name(enum finding_level level);

struct finding {
	enum finding_level level;
	char *text;
};

#define FINDINGS_MAX 20

struct findings {
	struct finding items[FINDINGS_MAX];
	size_t n;
	size_t left_out;
	bool failed; /* no memory */
};

void findings_finish(struct findings *findings);

/* A problem takes a lesser one's place where there is no room left. */
void findings_add(struct findings *findings, enum finding_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
