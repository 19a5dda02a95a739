/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv.h"

/* A command line, one word a line. */

#define WORDS_MAX 256

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(freep) char *text = strndup((const char *)bytes, len);
	_cleanup_(command_line_finish) struct command_line line = { 0 };
	char *argv[WORDS_MAX + 1] = { 0 };
	char *rest = text;
	size_t n = 0, i;

	while (rest && n < WORDS_MAX)
		argv[n++] = strsep(&rest, "\n");
	if (command_line_parse(argv, NULL, &line, NULL) < 0)
		abort();
	for (i = 0; i < line.n_images; i++) {
		if (!json_is_object(line.images[i].node) || !line.images[i].origin)
			abort();
		command_line_uses(&line, line.images[i].id);
	}
	return 0;
}
