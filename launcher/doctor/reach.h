/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/doctor/mount_table.h"

/*
 * Does a byte lock that is taken here keep other hosts out? By what the mount says
 * of itself (pure): only a lock taken on another host could prove it.
 */
enum reach_answer { REACH_UNKNOWN, REACH_NO, REACH_YES };

struct reach {
	enum reach_answer answer;
	bool network;       /* other hosts can have it mounted at the same time */
	const char *why;    /* a clause, static */
	const char *advice; /* what to change, static; NULL: nothing */
};

/* @mount	NULL: not known */
struct reach reach_of(const struct mount *mount);

const char *reach_answer_name(enum reach_answer answer); /* "yes", "no", "unknown" */

/* The options of a mount that say something about its locks, for people; "" if none does. */
struct str;
void reach_options(const struct mount *mount, struct str *out);
