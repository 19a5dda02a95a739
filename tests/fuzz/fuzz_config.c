/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "launcher/config.h"
#include "launcher/option_table.h"
#include "launcher/options.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* Keys of ours get their values; a key can never hold what separates keys. */
static int take(void *data, const char *key, const char *value, struct error *err)
{
	const struct option_spec *spec = option_find(&run_options, key);

	if (strpbrk(key, "\n=:") || strchr(value, '\n'))
		abort();
	return spec ? spec->set(spec, data, value, err) : 0;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct options options = { 0 };
	const struct config_text config = { "fuzz.conf", (const char *)data, size };
	const struct config_sink sink = { take, &options };
	struct error err = { 0 };

	if (config_parse(&config, &sink, &err) < 0 && strncmp(err.text, "fuzz.conf:", 10) != 0)
		abort();
	options_finish(&options);
	return 0;
}
