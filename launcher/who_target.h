/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * What 'who' is asked about: a path; or SPACE:KEY:/PATH, a lease, if there is no
 * file of that name. A lease stands for its lock file (file_spaces.h).
 */
struct who_target {
	char *path;  /* the caller's */
	bool unmade; /* a lease whose directory is there, but not its file: nobody has ever had it
		      */
};

/* 0 or -ENOMEM */
int who_target_find(const char *operand, struct who_target *ret);
void who_target_finish(struct who_target *target);
