/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

/* A test's own directory. Below it files are written and looked up by relative names. */
struct temporary {
	char path[64];
};

int temporary_make(struct temporary *dir);
void temporary_remove(const struct temporary *dir); /* with all that is in it */

char *temporary_path(const struct temporary *dir, const char *name); /* the caller's */

/* The directories above @name are made too. A failure ends the test program. */
void temporary_write(const struct temporary *dir, const char *name, const char *text);
void temporary_unlink(const struct temporary *dir, const char *name);
