/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/*
 * A command's options as a table: what parses them, what --help prints and which
 * keys a config file may have are all the same rows.
 */

enum option_rule {
	OPTION_NOT_IN_CONFIG = 1 << 0, /* in no config file */
	OPTION_NOT_PER_VM = 1 << 1,    /* in the global config only */
	OPTION_CHECK_ONLY = 1 << 2,    /* an option of 'check', not of 'run' */
	OPTION_CONFIG_ONLY = 1 << 3,   /* a key of the config files alone */
};

struct option_spec {
	const char *name;     /* without the dashes */
	const char *argument; /* as --help shows it; NULL: a switch, --name or --name=yes|no */
	const char *help;

	/* Store @value in the member of @base at @offset: option_value.h. 0 or -errno. */
	int (*set)(
		const struct option_spec *spec, void *base, const char *value, struct error *err);
	size_t offset;
	const char *const *words; /* option_set_word: what is allowed, in the enum's order */
	unsigned rules;
};

struct option_table {
	const struct option_spec *specs;
	size_t n;
};

const struct option_spec *option_find(const struct option_table *table, const char *name);

/* A bit for each row: which of them were given. */
uint64_t option_bit(const struct option_table *table, const struct option_spec *spec);

/* One argument that is an option: its row and its value. */
struct option_found {
	const struct option_spec *spec;
	const char *value;
};

/*
 * Read the option at @argv[0] ("--name", "--name=value" or "--name" "value").
 *
 * @argv	moved behind what was read
 * @verb	for the sentence
 *
 * Returns 0 or -EINVAL with a sentence and status 64.
 */
int option_read(const struct option_table *table, const char *verb, char ***argv,
	struct option_found *ret, struct error *err);

/*
 * Options and operands in any order, until "--".
 *
 * @argv	[0] is the verb
 * @operands	gets copies of what is no option
 */
int option_parse_all(const struct option_table *table, char **argv, void *base,
	struct strv *operands, struct error *err);

/* The lines of --help: one option each. */
void option_describe(const struct option_table *table, const char *verb, struct str *out);
