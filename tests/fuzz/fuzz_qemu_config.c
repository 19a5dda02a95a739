/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv.h"

/* A config file for QEMU, as the whole of a command line. */

static const uint8_t *text;
static size_t text_len;

static int give(const char *name, struct str *ret, struct error *err)
{
	(void)name, (void)err;
	str_append_bytes(ret, (const char *)text, text_len);
	return ret->failed ? -1 : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(command_line_finish) struct command_line line = { 0 };
	char *argv[] = { "qemu", "-no-user-config", "-readconfig", "config", NULL };
	size_t i;

	text = bytes;
	text_len = len;
	if (command_line_parse(argv, give, &line, NULL) < 0)
		abort();
	for (i = 0; i < line.n_images; i++) {
		if (!json_is_object(line.images[i].node) || !line.images[i].origin)
			abort();
		command_line_uses(&line, line.images[i].id);
	}
	return 0;
}
