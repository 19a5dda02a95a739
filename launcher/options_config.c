/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "launcher/config.h"
#include "launcher/option_value.h"
#include "launcher/options.h"
#include "launcher/suggest.h"

/* One config file's keys on their way into the options. */
struct filling {
	struct options *options;
	unsigned refused; /* rules that a key of this file may not have */
};

static int unknown_key(const char *key, struct error *err)
{
	struct suggestion near = suggestion_for(key);
	size_t i;

	for (i = 0; i < run_options.n; i++) {
		if (!(run_options.specs[i].rules & OPTION_NOT_IN_CONFIG))
			suggestion_offer(&near, run_options.specs[i].name);
	}
	return error_set(err, -EINVAL, "unknown key '%.64s'%s%s%s", key,
		near.word ? ": did you mean '" : "", near.word ? near.word : "",
		near.word ? "'?" : "");
}

static int take_key(void *data, const char *key, const char *value, struct error *err)
{
	const struct option_spec *spec = option_find(&run_options, key);
	_cleanup_(options_finish) struct options unused = { 0 };
	struct filling *filling = data;
	bool overruled;

	if (!spec)
		return unknown_key(key, err);
	if (spec->rules & filling->refused)
		return error_set(err, -EINVAL, "'%s' cannot be set here", key);
	if (spec->set == option_set_path && value[0] != '/')
		return error_set(err, -EINVAL, "'%s' needs an absolute path here", key);
	overruled = filling->options->on_command_line & option_bit(&run_options, spec);
	return spec->set(spec, overruled ? &unused : filling->options, value, err);
}

int options_apply_global_config(struct options *options, struct error *err)
{
	struct filling filling = { .options = options, .refused = OPTION_NOT_IN_CONFIG };
	const struct config_sink sink = { take_key, &filling, .repeatable = "lease" };
	_cleanup_(str_finish) struct str path = { 0 };
	int ret;

	if (options->config)
		return config_read_file(options->config, CONFIG_REQUIRED, &sink, err);
	str_printf(&path, "%s/vmlatch.conf", config_dir());
	if (path.failed)
		return error_set(err, -ENOMEM, "out of memory");
	ret = config_read_file(path.text, CONFIG_OPTIONAL, &sink, err);
	if (ret < 0)
		return ret;
	str_append(&path, ".d");
	if (path.failed)
		return error_set(err, -ENOMEM, "out of memory");
	return config_read_dir(path.text, &sink, err);
}

int options_apply_vm_config(struct options *options, const char *name, struct error *err)
{
	struct filling filling = {
		.options = options,
		.refused = OPTION_NOT_IN_CONFIG | OPTION_NOT_PER_VM,
	};
	const struct config_sink sink = { take_key, &filling, .repeatable = "lease" };
	_cleanup_(str_finish) struct str path = { 0 };

	str_printf(&path, "%s/vm/%s.conf", config_dir(), name);
	if (path.failed)
		return error_set(err, -ENOMEM, "out of memory");
	return config_read_file(path.text, CONFIG_OPTIONAL, &sink, err);
}
