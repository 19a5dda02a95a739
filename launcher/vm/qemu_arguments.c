/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/qemu_arguments.h"

#include "launcher/vm/vm.h"

struct qemu_arguments qemu_arguments_of(const struct vm_plan *plan)
{
	return (struct qemu_arguments){
		.user = plan->argv,
		.stop = plan->verified || plan->incoming,
		.sandbox = plan->sandbox->qemus_own,
	};
}

/* argv[0], ours, then the user's arguments untouched: appended, "-name" last would swallow one. */
int qemu_arguments_join(
	const struct qemu_arguments *arguments, const char *config, struct strv *ret)
{
	char **arg = arguments->user;
	int code = strv_add(ret, *arg);

	if (code == 0 && arguments->stop)
		code = strv_add(ret, "-S");
	if (code == 0 && arguments->sandbox)
		code = strv_add(ret, "-sandbox");
	if (code == 0 && arguments->sandbox)
		code = strv_add(ret, arguments->sandbox);
	if (code == 0)
		code = strv_add(ret, "-readconfig");
	if (code == 0)
		code = strv_add(ret, config);
	while (code == 0 && *++arg)
		code = strv_add(ret, *arg);
	return code;
}
