/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/check_sandbox.h"

#include <stdio.h>

#include "launcher/json_text.h"
#include "launcher/prepare_sandbox.h"

static const char *meaning(const struct preparation *p)
{
	static const char *const words[] = {
		[SANDBOX_DEFAULT] = "system calls that no QEMU needs are blocked",
		[SANDBOX_STRICT] = "and so are programs that QEMU would start, new namespaces, and "
				   "a look into other processes",
		[SANDBOX_OFF] = "every system call is allowed",
	};

	return words[p->sandbox.mode];
}

void check_print_sandbox(const struct preparation *p)
{
	printf("sandbox: %s, %s", prepare_sandbox_name(p), meaning(p));
	if (p->sandbox.why)
		printf(": %s", p->sandbox.why);
	if (p->sandbox.mode == SANDBOX_STRICT && !p->sandbox.qemus_own)
		printf("; QEMU's own -sandbox is left as it is");
	printf("\n");
}

json_t *check_sandbox_to_json(const struct preparation *p)
{
	json_t *object = json_pack("{s:s}", "mode", prepare_sandbox_name(p));

	json_text_set(object, "why", p->sandbox.why);
	json_text_set(object, "qemu", p->sandbox.qemus_own);
	return object;
}
