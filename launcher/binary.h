/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

#include "base/error.h"
#include "base/str.h"

/*
 * The program that a name stands for, as a shell would find it.
 *
 * @ret	a path, the caller's
 *
 * Returns 0; -ENOENT (status 127) or -EACCES (status 126) with a sentence.
 */
int binary_find(const char *name, char **ret, struct error *err);

/*
 * The program that vmlatch stands for under the name @name: what @configured
 * says (a program, or a directory that has one of that name; NULL: nothing),
 * else the first in PATH behind vmlatch itself. Never vmlatch, by whatever link,
 * and never what is in @tried.
 *
 * Returns as above; what is configured and cannot be: status 78.
 */
int binary_find_real(const char *name, const char *configured, const struct strv *tried, char **ret,
	struct error *err);

/*
 * Is this vmlatch itself, by whatever link, or a copy of it? One of another version is
 * not known.
 */
bool binary_is_ours(const char *path);

/* Become it. Returns -errno with a sentence (126 or 127) if that fails. */
int binary_become(const char *binary, char **argv, struct error *err);
