/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/option_table.h"

/*
 * What an option's value becomes: the setters of option tables. Each returns 0,
 * or -EINVAL with a sentence that names the option, and then nothing has changed.
 */

/* bool: yes or no, or the row's two words for false and true */
int option_set_switch(
	const struct option_spec *spec, void *base, const char *value, struct error *err);

/* an enum (int): the index among the row's words */
int option_set_word(
	const struct option_spec *spec, void *base, const char *value, struct error *err);

/* char *, owned; not empty, without control characters */
int option_set_text(
	const struct option_spec *spec, void *base, const char *value, struct error *err);

/* char *, owned; [a-z0-9_-]+ */
int option_set_module(
	const struct option_spec *spec, void *base, const char *value, struct error *err);

/* char *, owned; a VM's name */
int option_set_vm_name(
	const struct option_spec *spec, void *base, const char *value, struct error *err);

/* char *, owned; made absolute */
int option_set_path(
	const struct option_spec *spec, void *base, const char *value, struct error *err);

/* int64_t milliseconds, from seconds such as 10 or 0.5 */
int option_set_seconds(
	const struct option_spec *spec, void *base, const char *value, struct error *err);

/* int: an octal mode, up to 0777 */
int option_set_umask(
	const struct option_spec *spec, void *base, const char *value, struct error *err);

/* struct privileges_rlimit: SOFT[:HARD], each a number with K, M, G or T, or infinity */
int option_set_rlimit(
	const struct option_spec *spec, void *base, const char *value, struct error *err);

/* uint64_t */
int option_set_number(
	const struct option_spec *spec, void *base, const char *value, struct error *err);

/* @path from the working directory; the caller's, NULL: no memory or no such directory */
char *path_make_absolute(const char *path);
