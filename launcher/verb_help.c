/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>

#include "base/cleanup.h"
#include "launcher/exit_status.h"
#include "launcher/verb_args.h"
#include "launcher/verbs.h"

int verb_help(char **argv)
{
	_cleanup_(verb_args_finish) struct verb_args args = { 0 };
	_cleanup_(str_finish) struct str text = { 0 };
	const struct verb *verb;
	struct error err = { 0 };
	int ret;

	ret = verb_args_parse(argv, &args, &err);
	if (ret < 0)
		return exit_failure(ret, &err);
	if (args.operands.n == 0) {
		verbs_describe(&text);
	} else {
		verb = verb_find(args.operands.items[0]);
		if (!verb)
			return verb_unknown(args.operands.items[0]);
		verb_describe(verb, &text);
	}
	if (text.failed)
		return EX_OSERR;
	fputs(text.text, stdout);
	return 0;
}
