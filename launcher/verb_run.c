/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/cleanup.h"
#include "launcher/binary.h"
#include "launcher/prepare.h"
#include "launcher/run.h"
#include "launcher/verbs.h"

int verb_run(char **argv)
{
	_cleanup_(preparation_finish) struct preparation preparation = { 0 };
	_cleanup_(freep) char *binary = NULL;
	struct error err = { 0 };
	int ret, found;

	ret = prepare(argv, 0, &preparation, &err);
	if (ret < 0)
		return run_refuse(ret, &err);
	found = binary_find(preparation.options.qemu_argv[0], &binary, &err);
	/* "-version" and the like: nothing to lock, nobody needs us */
	if (found == 0 && ret == PREPARE_NO_VM)
		found = binary_become(binary, preparation.options.qemu_argv, &err);
	if (found < 0)
		return run_refuse(found, &err);
	run_prepared(&preparation, binary);
}
