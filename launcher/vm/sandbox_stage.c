/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/sandbox_stage.h"

#include <stddef.h>
#include <stdio.h>

#include "sandbox/load.h"

int sandbox_stage_load(const struct sandbox_plan *plan, const struct exec_secret *secret,
	int *listener, struct error *err)
{
	bool strict = plan->mode == SANDBOX_STRICT;
	char sentence[sizeof(err->text)];
	int ret;

	*listener = -1;
	if (plan->mode == SANDBOX_OFF)
		return 0;
	ret = sandbox_load(strict ? &sandbox_qemu_strict : &sandbox_qemu_default,
		strict ? secret : NULL, listener, err);
	if (ret == 0)
		return 0;
	snprintf(sentence, sizeof(sentence), "%s", err->text);
	return error_set(err, ret, "%s (--sandbox=off starts it without)", sentence);
}
