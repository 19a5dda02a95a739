/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

/*
 * The program that a name stands for, as a shell would find it.
 *
 * @ret	a path, the caller's
 *
 * Returns 0; -ENOENT (status 127) or -EACCES (status 126) with a sentence.
 */
int binary_find(const char *name, char **ret, struct error *err);
