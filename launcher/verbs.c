/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/verbs.h"

#include <stdint.h>
#include <string.h>
#include <sysexits.h>

#include "base/log.h"
#include "launcher/options.h"
#include "launcher/suggest.h"
#include "launcher/verb_args.h"

#define MANY SIZE_MAX

const struct verb verbs[] = {
	{ "run", verb_run, "[OPTIONS] [--] QEMU [QEMU-ARGS...] | [OPTIONS] --name NAME",
		"run a VM under locks, and stay as its supervisor", &run_options },
	{ "check", verb_check, "[OPTIONS] [--] QEMU [QEMU-ARGS...] | [OPTIONS] --name NAME",
		"say what would be locked and whether it is free; start nothing", &run_options },
	{ "list", verb_list, "[--watch] [--json]", "the VMs of this host, one a line",
		&list_options },
	{ "status", verb_status, "VM... [--json]",
		"run state, lock state, each disk, and why a VM is paused", &json_options, 1,
		MANY },
	{ "who", verb_who, "PATH... [--lockspace DIR] [--json]",
		"who holds these disks, lock files or leases", &who_options, 1, MANY },
	{ "doctor", verb_doctor, "DIR... [--timeout SECONDS] [--json]",
		"whether locks work in these directories, and what lies about there",
		&doctor_options, 1, MANY },
	{ "events", verb_events, "[VM...] [--follow] [--since SEQ]",
		"QMP and lock events as JSON lines", &events_options, 0, MANY },
	{ "pause", verb_pause, "VM...", "stop the guest and give its locks back", NULL, 1, MANY },
	{ "resume", verb_resume, "VM... [--force-stale]",
		"take the locks again, then let the guest run", &resume_options, 1, MANY },
	{ "stop", verb_stop, "VM... [--powerdown SECONDS] [--timeout SECONDS]",
		"end a VM: quit, then SIGTERM, then SIGKILL", &stop_options, 1, MANY },
	{ "attach", verb_attach, "VM disk|image PATH [--readonly] | VM lease LEASE",
		"lock one more disk, image or lease for a VM", &attach_options, 3, 3 },
	{ "detach", verb_detach, "VM disk|image PATH | VM lease LEASE",
		"let one disk, image or lease of a VM go", NULL, 3, 3 },
	{ "inquire", verb_inquire, "VM", "the lock state and the run state as one line of JSON",
		NULL, 1, 1 },
	{ "help", verb_help, "[VERB]", "this text, or a verb's options", NULL, 0, 1 },
};
const size_t n_verbs = sizeof(verbs) / sizeof(verbs[0]);

const struct verb *verb_find(const char *name)
{
	size_t i;

	for (i = 0; i < n_verbs; i++) {
		if (strcmp(verbs[i].name, name) == 0)
			return &verbs[i];
	}
	return NULL;
}

int verb_unknown(const char *name)
{
	struct suggestion near = suggestion_for(name);
	size_t i;

	for (i = 0; i < n_verbs; i++)
		suggestion_offer(&near, verbs[i].name);
	if (near.word)
		log_error("there is no verb '%s': did you mean '%s'?", name, near.word);
	else
		log_error("there is no verb '%s': 'vmlatch help' shows what there is", name);
	return EX_USAGE;
}

void verbs_describe(struct str *out)
{
	size_t i;

	str_append(out, "Usage: vmlatch VERB ...\n\n"
			"Run QEMU under locks: while a guest may write to a disk, nobody else "
			"holds that disk.\n\n");
	for (i = 0; i < n_verbs; i++)
		str_printf(out, "  vmlatch %-8s %s\n", verbs[i].name, verbs[i].summary);
	str_append(out, "\n'vmlatch help VERB' shows a verb's options; 'vmlatch --version' the "
			"version; vmlatch(1) the rest.\n");
}

void verb_describe(const struct verb *verb, struct str *out)
{
	str_printf(out, "Usage: vmlatch %s %s\n\n%s\n", verb->name, verb->synopsis, verb->summary);
	if (!verb->options)
		return;
	str_append(out, "\n");
	option_describe(verb->options, verb->name, out);
}
