/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/prepare_combination.h"

#include <errno.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "base/str.h"

#define DEATH_OPTION "on-supervisor-death"

static int usage(struct error *err, const char *sentence)
{
	return error_status(err, error_set(err, -EINVAL, "%s", sentence), EX_USAGE);
}

/* Why QEMU cannot be made to die with its supervisor; NULL: it can. */
static const char *find_survival(const struct preparation *p, const struct command_line *line)
{
	if (p->options.in_place || line->daemonize)
		return "needs QEMU to be vmlatch's child: it cannot be in place, nor with "
		       "-daemonize";
	if (line->runas)
		return "cannot be with -runas, which ends it: use --user";
	return NULL;
}

static int judge_supervisor_death(
	struct preparation *p, const struct command_line *line, struct error *err)
{
	const struct option_spec *spec = option_find(&run_options, DEATH_OPTION);
	const char *why = find_survival(p, line);
	_cleanup_(str_finish) struct str text = { 0 };

	if (p->options.on_supervisor_death != ON_SUPERVISOR_DEATH_KILL || !why)
		return 0;
	str_printf(&text, "--" DEATH_OPTION "=kill %s", why);
	if (p->options.on_command_line & option_bit(&run_options, spec))
		return usage(err, text.failed ? "out of memory" : text.text);
	p->options.on_supervisor_death = ON_SUPERVISOR_DEATH_KEEP;
	str_append(&text, "; what the config says does not count for this VM");
	return text.failed ? -ENOMEM : strv_add(&p->warnings, text.text);
}

int prepare_combination(struct preparation *p, const struct command_line *line, struct error *err)
{
	if (p->options.acquire == ACQUIRE_RESUME && !line->incoming)
		return usage(err, "--acquire=resume needs -incoming: without it QEMU writes to its "
				  "images before the guest runs");
	if (p->options.acquire == ACQUIRE_START && line->incoming)
		return usage(err, "--acquire=start cannot be with -incoming: the source of the "
				  "migration holds the locks");
	return judge_supervisor_death(p, line, err);
}
