/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "base/str.h"
#include "launcher/option_table.h"

/*
 * What vmlatch can be told to do: one file verb_NAME.c for each.
 *
 * @argv	[0] is the verb; NULL-terminated
 *
 * Returns the exit status. A verb's result goes to stdout, all else to stderr.
 */
int verb_run(char **argv);
int verb_check(char **argv);
int verb_list(char **argv);
int verb_status(char **argv);
int verb_who(char **argv);
int verb_doctor(char **argv);
int verb_events(char **argv);
int verb_pause(char **argv);
int verb_resume(char **argv);
int verb_stop(char **argv);
int verb_attach(char **argv);
int verb_detach(char **argv);
int verb_inquire(char **argv);
int verb_help(char **argv);

struct verb {
	const char *name;
	int (*run)(char **argv);
	const char *synopsis; /* what stands behind the name */
	const char *summary;
	const struct option_table *options; /* NULL: it has none */
	size_t least, most;                 /* operands (where verb_args_parse() counts them) */
};

extern const struct verb verbs[];
extern const size_t n_verbs;

const struct verb *verb_find(const char *name); /* or NULL */

/* "there is no verb 'strat': did you mean 'start'?", logged; the exit status. */
int verb_unknown(const char *name);

/* All verbs, or one with its options. */
void verbs_describe(struct str *out);
void verb_describe(const struct verb *verb, struct str *out);
