/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/option_table.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "launcher/suggest.h"

#define NAME_MAX_SIZE 64
#define HELP_COLUMN   34

const struct option_spec *option_find(const struct option_table *table, const char *name)
{
	size_t i;

	for (i = 0; i < table->n; i++) {
		if (strcmp(table->specs[i].name, name) == 0)
			return &table->specs[i];
	}
	return NULL;
}

uint64_t option_bit(const struct option_table *table, const struct option_spec *spec)
{
	return UINT64_C(1) << (spec - table->specs);
}

static bool belongs_to(const struct option_spec *spec, const char *verb)
{
	if (spec->rules & OPTION_CONFIG_ONLY)
		return false;
	return !(spec->rules & OPTION_CHECK_ONLY) || strcmp(verb, "check") == 0;
}

static void unknown_option(
	const struct option_table *table, const char *verb, const char *name, struct error *err)
{
	struct suggestion near = suggestion_for(name);
	char shown[NAME_MAX_SIZE];
	size_t i;

	for (i = 0; i < table->n; i++) {
		if (belongs_to(&table->specs[i], verb))
			suggestion_offer(&near, table->specs[i].name);
	}
	str_printable(name, shown, sizeof(shown));
	error_status(err, 0, EX_USAGE);
	if (near.word)
		error_set(err, 0, "'%s' has no option --%s: did you mean --%s?", verb, shown,
			near.word);
	else
		error_set(err, 0, "'%s' has no option --%s: see 'vmlatch help %s'", verb, shown,
			verb);
}

int option_read(const struct option_table *table, const char *verb, char ***argv,
	struct option_found *ret, struct error *err)
{
	const char *text = **argv + 2, *equals = strchr(text, '=');
	size_t len = equals ? (size_t)(equals - text) : strlen(text);
	const struct option_spec *spec;
	char name[NAME_MAX_SIZE];
	const char *value;

	snprintf(name, sizeof(name), "%.*s", (int)(len < sizeof(name) ? len : sizeof(name)), text);
	spec = option_find(table, name);
	if (!spec || !belongs_to(spec, verb)) {
		unknown_option(table, verb, name, err);
		return -EINVAL;
	}
	(*argv)++;
	if (equals)
		value = equals + 1;
	else if (!spec->argument)
		value = "yes";
	else /* "--" ends the options: nobody means it as a value */
		value = **argv && strcmp(**argv, "--") != 0 ? *(*argv)++ : NULL;
	if (!value) {
		error_set(err, 0, "--%s needs a value: --%s %s", name, name, spec->argument);
		error_status(err, 0, EX_USAGE);
		return -EINVAL;
	}
	*ret = (struct option_found){ .spec = spec, .value = value };
	return 0;
}

/* An option, as it stands: 0 or -errno. */
static int parse_one(const struct option_table *table, const char *verb, char ***argv, void *base,
	struct error *err)
{
	struct option_found found;
	int ret;

	ret = option_read(table, verb, argv, &found, err);
	if (ret < 0)
		return ret;
	ret = found.spec->set(found.spec, base, found.value, err);
	return ret < 0 ? error_status(err, ret, EX_USAGE) : 0;
}

int option_parse_all(const struct option_table *table, char **argv, void *base,
	struct strv *operands, struct error *err)
{
	const char *verb = *argv++;
	bool ended = false;
	int ret;

	while (*argv) {
		if (!ended && strcmp(*argv, "--") == 0) {
			ended = true;
			argv++;
			continue;
		}
		if (!ended && str_starts(*argv, "--")) {
			ret = parse_one(table, verb, &argv, base, err);
			if (ret < 0)
				return ret;
			continue;
		}
		if (!ended && (*argv)[0] == '-' && (*argv)[1])
			return error_status(err,
				error_set(err, -EINVAL,
					"'%s' has no option %s: see 'vmlatch help %s'", verb, *argv,
					verb),
				EX_USAGE);
		if (strv_add(operands, *argv++) < 0)
			return error_set(err, -ENOMEM, "out of memory");
	}
	return 0;
}

void option_describe(const struct option_table *table, const char *verb, struct str *out)
{
	char left[NAME_MAX_SIZE * 2];
	size_t i;

	for (i = 0; i < table->n; i++) {
		const struct option_spec *spec = &table->specs[i];

		if (!belongs_to(spec, verb))
			continue;
		snprintf(left, sizeof(left), "--%s%s%s", spec->name, spec->argument ? " " : "",
			spec->argument ? spec->argument : "");
		if (strlen(left) >= HELP_COLUMN - 3)
			str_printf(out, "  %s\n  %*s", left, HELP_COLUMN - 2, "");
		else
			str_printf(out, "  %-*s", HELP_COLUMN - 2, left);
		str_printf(out, "%s\n", spec->help);
	}
}
