/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "launcher/check_call.h"
#include "launcher/check_report.h"
#include "launcher/exit_status.h"
#include "launcher/prepare_sandbox.h"
#include "launcher/verbs.h"

/* Half of what we may have: the rest is for the work itself. */
static size_t open_files_to_spare(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_NOFILE, &limit) < 0 ? 0 : limit.rlim_cur / 2;
}

static void check_print_no_vm(const struct options *options)
{
	puts(options->json ? "{\n  \"starts-vm\": false\n}"
			   : "this call of QEMU starts no VM: nothing would be locked");
}

int verb_check(char **argv)
{
	_cleanup_(preparation_finish) struct preparation preparation = { 0 };
	_cleanup_(freep) char *binary = NULL;
	struct error err = { 0 };
	int ret;

	ret = check_call_prepare(argv, open_files_to_spare(), &preparation, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	if (ret == PREPARE_NO_VM) {
		check_print_no_vm(&preparation.options);
		return 0;
	}
	if (check_call_find_qemu(&preparation, &binary) < 0)
		return exit_failure(error_set(&err, -ENOMEM, "out of memory"), &err);
	if (binary)
		prepare_sandbox_of_qemu(&preparation, binary);
	return check_report(&preparation);
}
