/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/doctor/finding.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

const char *finding_level_name(enum finding_level level)
{
	static const char *const names[] = {
		[FINDING_NOTE] = "note",
		[FINDING_WARNING] = "warning",
		[FINDING_PROBLEM] = "problem",
	};

	return names[level];
}

void findings_finish(struct findings *findings)
{
	size_t i;

	for (i = 0; i < findings->n; i++)
		free(findings->items[i].text);
}

/* Room for one of this level, or NULL. */
static struct finding *room_find(struct findings *findings, enum finding_level level)
{
	size_t i;

	if (findings->n < FINDINGS_MAX)
		return &findings->items[findings->n++];
	findings->left_out++;
	for (i = FINDINGS_MAX; i-- > 0;) {
		if (findings->items[i].level < level) {
			free(findings->items[i].text);
			return &findings->items[i];
		}
	}
	return NULL;
}

void findings_add(struct findings *findings, enum finding_level level, const char *fmt, ...)
{
	struct finding *finding = room_find(findings, level);
	va_list args;

	if (!finding)
		return;
	finding->level = level;
	va_start(args, fmt);
	if (vasprintf(&finding->text, fmt, args) < 0) {
		finding->text = NULL;
		findings->failed = true;
	}
	va_end(args);
}
