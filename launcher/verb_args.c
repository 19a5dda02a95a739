/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/verb_args.h"

#include <errno.h>
#include <stdlib.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "launcher/option_value.h"
#include "launcher/verbs.h"

#define STOP_TIMEOUT_MS 10000

#define ROW(member, setter) .set = (setter), .offset = offsetof(struct verb_args, member)
#define TABLE(specs)                                      \
	{                                                 \
		(specs), sizeof(specs) / sizeof(*(specs)) \
	}

/* clang-format off */
#define JSON_ROW                                                       \
	{ "json", NULL, "the result as a JSON array, one member a line", \
		ROW(json, option_set_switch) }
/* clang-format on */

static const struct option_spec json_specs[] = { JSON_ROW };
static const struct option_spec who_specs[] = {
	{ "lockspace", "DIR", "look at the lock files in this directory too",
		ROW(lockspace, option_set_path) },
	{ "lockspace-name", "path|identity", "what its lock files are named by (default path)",
		ROW(lockspace_by_identity, option_set_switch),
		.words = (const char *const[]){ "path", "identity" } },
	JSON_ROW,
};
static const struct option_spec list_specs[] = {
	{ "watch", NULL, "print it anew whenever something changes, until interrupted",
		ROW(watch, option_set_switch) },
	JSON_ROW,
};
static const struct option_spec events_specs[] = {
	{ "follow", NULL, "go on with what happens, until the last VM has ended",
		ROW(follow, option_set_switch) },
	{ "since", "SEQ", "only events from this number on (vmlatch-seq)",
		ROW(since, option_set_number) },
};
static const struct option_spec resume_specs[] = {
	{ "force-stale", NULL,
		"although somebody else has used a disk: what QEMU remembers of it "
		"is wrong then",
		ROW(force_stale, option_set_switch) },
};
static const struct option_spec attach_specs[] = {
	{ "readonly", NULL, "QEMU only reads it: a reader's lock",
		ROW(readonly, option_set_switch) },
};
static const struct option_spec doctor_specs[] = {
	{ "timeout", "SECONDS", "how long each directory may take (default 10)",
		ROW(timeout_ms, option_set_seconds) },
	JSON_ROW,
};
static const struct option_spec stop_specs[] = {
	{ "powerdown", "SECONDS", "first press the guest's power button, and wait that long",
		ROW(powerdown_ms, option_set_seconds) },
	{ "timeout", "SECONDS", "how long each step may take (default 10)",
		ROW(timeout_ms, option_set_seconds) },
};

const struct option_table json_options = TABLE(json_specs);
const struct option_table who_options = TABLE(who_specs);
const struct option_table list_options = TABLE(list_specs);
const struct option_table events_options = TABLE(events_specs);
const struct option_table resume_options = TABLE(resume_specs);
const struct option_table attach_options = TABLE(attach_specs);
const struct option_table doctor_options = TABLE(doctor_specs);
const struct option_table stop_options = TABLE(stop_specs);

static const struct option_table no_options;

void verb_args_finish(struct verb_args *args)
{
	strv_finish(&args->operands);
	free(args->lockspace);
}

int verb_args_parse(char **argv, struct verb_args *ret, struct error *err)
{
	_cleanup_(verb_args_finish) struct verb_args args = { .timeout_ms = STOP_TIMEOUT_MS };
	const struct verb *verb = verb_find(argv[0]);
	int code;

	code = option_parse_all(
		verb->options ? verb->options : &no_options, argv, &args, &args.operands, err);
	if (code < 0)
		return code;
	if (args.operands.n < verb->least || args.operands.n > verb->most)
		return error_status(err,
			error_set(err, -EINVAL, "too %s words: vmlatch %s %s",
				args.operands.n < verb->least ? "few" : "many", verb->name,
				verb->synopsis),
			EX_USAGE);
	*ret = args;
	args = (struct verb_args){ 0 };
	return 0;
}
