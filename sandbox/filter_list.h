/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdint.h>

#include "base/error.h"

/*
 * The lists from which the system call filters are made at build time
 * (make_filters.c): one system call a line, with who needs it, or why it is blocked.
 *
 *	NAME[/NUMBER] [CONDITION] ACTION WHY
 *
 *	NAME		a system call; or @default: every other one; or @foreign: each call
 *			of another ABI of this machine (32 bits, x32)
 *	/NUMBER		for one that the libseccomp of the build may not know yet; its
 *			number, where all machines have the same (since Linux 5.1)
 *	CONDITION	argN=VALUE: the low 32 bits of that argument are this;
 *			argN&MASK: any of these bits is set; argN!MASK: none is; foreign-exec: its
 *three first arguments are not the secret that only we know (sandbox/program.h) ACTION
 *allow, kill, eperm or enosys
 *
 * A '#' begins a comment. A call may stand there more than once only with conditions.
 */

enum filter_action { FILTER_ALLOW, FILTER_KILL, FILTER_EPERM, FILTER_ENOSYS, FILTER_N_ACTIONS };
enum filter_condition {
	FILTER_ALWAYS,
	FILTER_EQUALS,
	FILTER_ANY_BIT,
	FILTER_NO_BIT,
	FILTER_FOREIGN_EXEC,
};

#define FILTER_NAME_SIZE 48

struct filter_line {
	char name[FILTER_NAME_SIZE];
	int number; /* -1: none */
	enum filter_condition condition;
	unsigned argument;
	uint64_t value;
	enum filter_action action;
};

struct filter_list {
	struct filter_line *lines;
	size_t n;
};

void filter_list_finish(struct filter_list *list);

/*
 * Append what @text says.
 *
 * Returns 0 or -EINVAL with a sentence that names the line, or -ENOMEM.
 */
int filter_list_parse(const char *text, struct filter_list *list, struct error *err);

/* The line of that name, or NULL. */
const struct filter_line *filter_list_find(const struct filter_list *list, const char *name);
