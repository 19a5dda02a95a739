/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/option_value.h"

#include <errno.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/options.h"

#define SECONDS_MAX (10LL * 365 * 86400)
#define TEXT_MAX    255

static void *member(const struct option_spec *spec, void *base)
{
	return (char *)base + spec->offset;
}

/* "--wait needs seconds, such as 10 or 0.5, not 'x'" */
static int refuse(
	const struct option_spec *spec, const char *value, const char *needs, struct error *err)
{
	char shown[128];

	return error_set(err, -EINVAL, "--%s needs %s, not '%s'", spec->name, needs,
		str_printable(value, shown, sizeof(shown)));
}

static int store(const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	char **text = member(spec, base), *copy = strdup(value);

	if (!copy)
		return error_set(err, -ENOMEM, "out of memory");
	free(*text);
	*text = copy;
	return 0;
}

int option_set_switch(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	static const char *const no_yes[] = { "no", "yes" };
	const char *const *words = spec->words ? spec->words : no_yes;
	bool on = strcmp(value, words[1]) == 0;

	if (!on && strcmp(value, words[0]) != 0)
		return refuse(spec, value, spec->argument ? spec->argument : "yes or no", err);
	*(bool *)member(spec, base) = on;
	return 0;
}

int option_set_word(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	int i;

	for (i = 0; spec->words[i]; i++) {
		if (spec->words[i][0] && strcmp(spec->words[i], value) == 0) {
			*(int *)member(spec, base) = i;
			return 0;
		}
	}
	return refuse(spec, value, spec->argument, err);
}

int option_set_text(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	char shown[TEXT_MAX + 1];

	if (!*value || strlen(value) > TEXT_MAX)
		return refuse(spec, value, "1 to 255 characters", err);
	if (strcmp(str_printable(value, shown, sizeof(shown)), value) != 0)
		return refuse(spec, value, "printable characters", err);
	return store(spec, base, value, err);
}

int option_set_module(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	if (!*value || strlen(value) > TEXT_MAX ||
		strspn(value, "abcdefghijklmnopqrstuvwxyz0123456789_-") != strlen(value))
		return refuse(spec, value, "a driver's name", err);
	return store(spec, base, value, err);
}

int option_set_vm_name(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	if (!vm_name_is_valid(value))
		return refuse(spec, value,
			"a name of 1 to 64 letters, digits, dots, dashes and underscores, without "
			"'.last.json' or '.last.log' at its end",
			err);
	return store(spec, base, value, err);
}

char *path_make_absolute(const char *path)
{
	_cleanup_(freep) char *here = NULL;
	struct str whole = { 0 };

	if (path[0] == '/')
		return strdup(path);
	here = getcwd(NULL, 0);
	if (!here)
		return NULL;
	str_printf(&whole, "%s/%s", here, path);
	return str_take(&whole);
}

int option_set_path(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	_cleanup_(freep) char *whole = NULL;

	if (!*value)
		return refuse(spec, value, "a path", err);
	whole = path_make_absolute(value);
	if (!whole)
		return error_set(
			err, -errno, "--%s: where are we? %s", spec->name, strerror(errno));
	return store(spec, base, whole, err);
}

/* Digits after the point as milliseconds; what is finer is rounded up, so that 0.0001 waits. */
static int fraction_ms(const char *text, int64_t *ret)
{
	int64_t ms = 0, unit = 100;
	bool finer = false;

	if (!*text)
		return -EINVAL;
	for (; *text; text++, unit /= 10) {
		if (*text < '0' || *text > '9')
			return -EINVAL;
		ms += (*text - '0') * unit;
		finer = finer || (unit == 0 && *text != '0');
	}
	*ret = ms + finer;
	return 0;
}

int option_set_seconds(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	static const char needs[] = "seconds, such as 10 or 0.5";
	_cleanup_(freep) char *whole = strdup(value);
	int64_t ms = 0;
	uint64_t s = 0;
	char *point;

	if (!whole)
		return error_set(err, -ENOMEM, "out of memory");
	point = strchr(whole, '.');
	if (point)
		*point = '\0';
	if (str_to_u64(whole, &s) < 0 || s > SECONDS_MAX)
		return refuse(spec, value, needs, err);
	if (point && fraction_ms(point + 1, &ms) < 0)
		return refuse(spec, value, needs, err);
	*(int64_t *)member(spec, base) = s * 1000 + ms;
	return 0;
}

int option_set_number(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	uint64_t n;

	if (str_to_u64(value, &n) < 0 || n > INT64_MAX)
		return refuse(spec, value, "a number", err);
	*(uint64_t *)member(spec, base) = n;
	return 0;
}

int option_set_umask(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	size_t len = strlen(value);

	if (len == 0 || len > 4 || strspn(value, "01234567") != len ||
		strtol(value, NULL, 8) > 0777)
		return refuse(spec, value, "an octal mode such as 027", err);
	*(int *)member(spec, base) = strtol(value, NULL, 8);
	return 0;
}

static int rlimit_parse(const char *text, size_t len, rlim_t *ret)
{
	static const char suffixes[] = "KMGT";
	char digits[32];
	const char *suffix;
	unsigned shift = 0;
	uint64_t n;

	if (len >= sizeof(digits) || len == 0)
		return -EINVAL;
	memcpy(digits, text, len);
	digits[len] = '\0';
	if (strcmp(digits, "infinity") == 0) {
		*ret = RLIM_INFINITY;
		return 0;
	}
	suffix = strchr(suffixes, digits[len - 1]);
	if (suffix) {
		shift = 10 * (suffix - suffixes + 1);
		digits[len - 1] = '\0';
	}
	if (str_to_u64(digits, &n) < 0 || n > UINT64_MAX >> (shift + 1))
		return -EINVAL;
	*ret = n << shift;
	return 0;
}

int option_set_rlimit(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	struct privileges_rlimit limit = { .given = true };
	size_t soft = strcspn(value, ":");
	const char *hard = value[soft] ? value + soft + 1 : value;
	int ret = rlimit_parse(value, soft, &limit.values.rlim_cur);

	if (ret == 0)
		ret = rlimit_parse(hard, value[soft] ? strlen(hard) : soft, &limit.values.rlim_max);
	if (ret < 0 || limit.values.rlim_cur > limit.values.rlim_max)
		return refuse(spec, value, "SOFT[:HARD], such as 1024, 512M or infinity", err);
	*(struct privileges_rlimit *)member(spec, base) = limit;
	return 0;
}
