/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/options.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/args_file.h"
#include "locking/lock_driver.h"

void options_finish(struct options *options)
{
	free(options->name);
	free(options->lock);
	free(options->lockspace);
	strv_finish(&options->leases);
	strv_finish(&options->args);
	free(options->user);
	free(options->group);
	free(options->qemu);
	free(options->qmp);
	free(options->host_name);
	free(options->config);
	*options = (struct options){ 0 };
}

static int set_defaults(struct options *options, struct error *err)
{
	char host[HOST_NAME_MAX + 1] = "";

	if (gethostname(host, sizeof(host) - 1) < 0 || !host[0])
		snprintf(host, sizeof(host), "localhost");
	*options = (struct options){
		.lock = strdup("file"),
		.host_name = strdup(host),
		.release_on = RELEASE_ON_ALL,
		.deactivate = true,
		.readonly_locks = true,
		.umask = -1,
		.log_level = LOG_LEVEL_NOTICE,
	};
	if (!options->lock || !options->host_name)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int read_command_line(
	char ***argv, const char *verb, struct options *options, struct error *err)
{
	struct option_found found;
	int ret;

	while (**argv && (**argv)[0] == '-') {
		if (strcmp(**argv, "--") == 0) {
			(*argv)++;
			break;
		}
		if (!str_starts(**argv, "--"))
			return error_set(err, -EINVAL,
				"%s is no option of vmlatch: QEMU's options stand behind QEMU, as "
				"in 'vmlatch %s qemu-system-x86_64 %s'",
				**argv, verb, **argv);
		ret = option_read(&run_options, verb, argv, &found, err);
		if (ret == 0)
			ret = found.spec->set(found.spec, options, found.value, err);
		if (ret < 0)
			return ret;
		options->on_command_line |= option_bit(&run_options, found.spec);
	}
	if (!**argv && !options->name)
		return error_set(err, -EINVAL,
			"no QEMU was given: 'vmlatch %s [OPTIONS] qemu-system-x86_64 ...', or "
			"'vmlatch %s --name NAME' for what vm/NAME.args says",
			verb, verb);
	return 0;
}

/* What stands on the command line, or else in the file that is named like the VM. */
static int find_qemu(char **argv, struct options *options, struct error *err)
{
	int ret = *argv ? 0 : args_file_read(options->name, &options->args, err);

	options->qemu_argv = *argv ? argv : options->args.items;
	return ret;
}

void options_fill_lock_params(const struct options *options, struct lock_params *params)
{
	snprintf(params->owner.host, sizeof(params->owner.host), "%s", options->host_name);
	params->lockspace = options->lockspace;
	params->lockspace_by_identity = options->lockspace_by_identity;
	params->device_locks = secure_getenv("VMLATCH_DEVICE_LOCKS");
}

int options_parse(char **argv, struct options *ret, struct error *err)
{
	_cleanup_(options_finish) struct options options = { 0 };
	const char *verb = *argv++;
	int code;

	code = set_defaults(&options, err);
	if (code < 0)
		return code;
	code = read_command_line(&argv, verb, &options, err);
	if (code < 0)
		return error_status(err, code, EX_USAGE);
	code = find_qemu(argv, &options, err);
	if (code == 0)
		code = options_apply_global_config(&options, err);
	if (code < 0)
		return code;
	*ret = options;
	options = (struct options){ 0 };
	return 0;
}

int options_of_drop_in(char **argv, struct options *ret, struct error *err)
{
	_cleanup_(options_finish) struct options options = { 0 };
	int code;

	code = set_defaults(&options, err);
	if (code < 0)
		return code;
	options.log_level = LOG_LEVEL_WARNING;
	code = options_apply_global_config(&options, err);
	if (code < 0)
		return code;
	options.in_place = true;
	options.qemu_argv = argv;
	*ret = options;
	options = (struct options){ 0 };
	return 0;
}
