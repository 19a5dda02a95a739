/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/keyval.h"

/* Both spellings of any text, nested and shown again. */

static void nest(const json_t *flat)
{
	_cleanup_(keyval_freep) json_t *nested = NULL;
	struct error err = { 0 };

	if (keyval_nest(flat, &nested, &err) < 0) {
		if (!*err.text)
			abort();
		return;
	}
	keyval_bool(nested, "a", false);
	free(json_dumps(nested, 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);
int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
	_cleanup_(freep) char *text = strndup((const char *)bytes, len);
	_cleanup_(keyval_freep) json_t *options = NULL;
	_cleanup_(keyval_freep) json_t *json = NULL;

	if (!text || keyval_parse(text, "first", &options) < 0)
		abort();
	nest(options);
	if (keyval_parse_json(text, &json, NULL) == 0)
		nest(json);
	return 0;
}
