/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/drop_in.h"

#include <string.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "launcher/binary.h"
#include "launcher/exit_status.h"
#include "launcher/prepare.h"
#include "launcher/run.h"
#include "launcher/trace.h"

const char *drop_in_name(const char *argv0)
{
	const char *slash = strrchr(argv0, '/');

	return slash ? slash + 1 : argv0;
}

bool drop_in_is_name(const char *argv0)
{
	const char *name = drop_in_name(argv0);

	return str_starts(name, "qemu-system-") || strcmp(name, "qemu-kvm") == 0 ||
	       strcmp(name, "kvm") == 0;
}

/* Nobody needs us: there is nothing to lock, or it is locked. */
static int step_aside(char **argv, const char *qemu, struct trace *trace)
{
	_cleanup_(freep) char *binary = NULL;
	struct error err = { 0 };
	int ret = binary_find_real(drop_in_name(argv[0]), qemu, &trace->tried, &binary, &err);

	if (ret == 0)
		ret = trace_add(trace, binary, &err);
	if (ret == 0)
		ret = binary_become(binary, argv, &err);
	return exit_failure(ret, &err);
}

int drop_in(char **argv)
{
	_cleanup_(preparation_finish) struct preparation preparation = { 0 };
	_cleanup_(trace_finish) struct trace trace = TRACE_INIT;
	_cleanup_(freep) char *binary = NULL;
	struct error err = { 0 };
	int ret;

	ret = trace_find(argv, &trace, &err);
	if (ret == 0 && trace.locked) {
		ret = options_of_drop_in(argv, &preparation.options, &err);
		if (ret == 0)
			return step_aside(argv, preparation.options.qemu, &trace);
	}
	if (ret == 0)
		ret = prepare_drop_in(argv, &preparation, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	if (ret == PREPARE_NO_VM)
		return step_aside(argv, preparation.options.qemu, &trace);
	ret = binary_find_real(
		drop_in_name(argv[0]), preparation.options.qemu, &trace.tried, &binary, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	run_prepared(&preparation, binary);
}
