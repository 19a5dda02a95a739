/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * Is the program linked with a library whose name begins so ("libseccomp.so")? A
 * look into its file: nothing is executed. False also of a script, and of what cannot
 * be read.
 */
bool binary_links(const char *binary, const char *library);
