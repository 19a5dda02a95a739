/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/prepare_sandbox.h"

#include <errno.h>
#include <linux/capability.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "launcher/binary_links.h"

/*
 * QEMU's own filter, all of it; what -daemonize and -runas do after it is loaded (fork,
 * setsid, setuid) kills with the other two (seen with 7.2). So does the fork by which a
 * library would start a helper; without spawn=deny our own filter refuses its exec.
 */
#define QEMU_SANDBOX         "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
#define QEMU_SANDBOX_HELPERS "on,obsolete=deny,elevateprivileges=deny,resourcecontrol=deny"
#define QEMU_SANDBOX_LEAVING "on,obsolete=deny,resourcecontrol=deny"

static const char *qemus_own(const struct command_line *line)
{
	if (line->daemonize || line->runas)
		return QEMU_SANDBOX_LEAVING;
	return line->starts_helpers ? QEMU_SANDBOX_HELPERS : QEMU_SANDBOX;
}

/* Only then the kernel takes a filter from who could still gain rights by an exec. */
static bool may_load_any_filter(void)
{
	return capability_permitted() & capability_bit(CAP_SYS_ADMIN);
}

static int usage(struct error *err, const char *sentence)
{
	return error_status(err, error_set(err, -EINVAL, "%s", sentence), EX_USAGE);
}

static bool is_asked_for(const struct options *options)
{
	return options->sandbox == SANDBOX_DEFAULT || options->sandbox == SANDBOX_STRICT;
}

/* Of some nothing else tells before the guest tries them, which ends it under QEMU's own filter. */
static int warn_of_programs(struct preparation *p, const struct command_line *line)
{
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < line->programs.n; i++) {
		_cleanup_(str_finish) struct str text = { 0 };

		str_printf(&text,
			"%s: it will not work: --sandbox=strict lets QEMU start no program",
			line->programs.items[i]);
		ret = text.failed ? -ENOMEM : strv_add(&p->warnings, text.text);
	}
	return ret;
}

int prepare_sandbox(struct preparation *p, const struct command_line *line, struct error *err)
{
	bool gains_rights = p->privileges.setuid_helpers;
	struct sandbox_plan *plan = &p->sandbox;

	*plan = (struct sandbox_plan){ .mode = p->options.sandbox, .early = gains_rights };
	if (plan->mode == SANDBOX_STRICT && p->options.allow_setuid_helpers)
		return usage(err, "--sandbox=strict cannot be with --allow-setuid-helpers: with it "
				  "QEMU starts no helper at all");
	if (gains_rights && !may_load_any_filter() && plan->mode != SANDBOX_OFF) {
		if (is_asked_for(&p->options))
			return usage(err,
				"--sandbox needs no_new_privs or CAP_SYS_ADMIN: give "
				"--allow-setuid-helpers=no, and what QEMU starts gains no rights");
		plan->mode = SANDBOX_OFF;
		plan->why = "it would take from the programs that QEMU starts the rights of their "
			    "files (no_new_privs)";
	}
	if (plan->mode == SANDBOX_AUTO)
		plan->mode = SANDBOX_DEFAULT;
	if (plan->mode == SANDBOX_STRICT && !line->sandbox)
		plan->qemus_own = qemus_own(line);
	p->plan.sandbox = plan;
	return plan->mode == SANDBOX_STRICT ? warn_of_programs(p, line) : 0;
}

void prepare_sandbox_of_qemu(struct preparation *p, const char *binary)
{
	if (p->sandbox.qemus_own && !binary_links(binary, "libseccomp.so"))
		p->sandbox.qemus_own = NULL;
}

const char *prepare_sandbox_name(const struct preparation *p)
{
	static const char *const names[] = {
		[SANDBOX_DEFAULT] = "default",
		[SANDBOX_STRICT] = "strict",
		[SANDBOX_OFF] = "off",
	};

	return names[p->sandbox.mode];
}
