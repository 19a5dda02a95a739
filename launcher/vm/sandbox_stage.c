/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/sandbox_stage.h"

#include <stddef.h>

#include "base/log.h"
#include "sandbox/load.h"

int sandbox_stage_load(const struct sandbox_plan *plan, const struct exec_secret *secret,
	int *listener, struct error *err)
{
	bool strict = plan->mode == SANDBOX_STRICT;
	int ret;

	*listener = -1;
	if (plan->mode == SANDBOX_OFF)
		return 0;
	ret = sandbox_load(strict ? &sandbox_qemu_strict : &sandbox_qemu_default,
		strict ? secret : NULL, listener, err);
	return ret < 0 ? error_append(err, ret, " (--sandbox=off starts it without)") : 0;
}

/* Sanitizers have calls of their own (meson's supervisor_filter). */
void sandbox_load_supervisors(void)
{
#ifdef SUPERVISOR_FILTER
	struct error err = { 0 };

	if (sandbox_load(&sandbox_supervisor, NULL, NULL, &err) < 0)
		log_warning("the supervisor makes any system call that it likes: %s", err.text);
#endif
}
