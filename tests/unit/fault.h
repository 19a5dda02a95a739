/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * "The n-th call fails": all error paths from one idea. The test program is
 * linked with --wrap for what allocates, opens, reads, writes and listens (see
 * fault_link_args in meson.build), and counts the calls that our own code makes;
 * those within other libraries do not count. (jansson's allocations do after
 * json_set_alloc_funcs(malloc, free).)
 *
 *	for (n = 1;; n++) {
 *		fault_arm(n);
 *		ret = what_is_tested();
 *		if (!fault_disarm())
 *			break;		(it made fewer than n calls: all paths are done)
 *		assert that nothing is left behind
 *	}
 */
void fault_arm(unsigned n);

/* The n-th of the calls that a signal can end early does so (EINTR), once. */
void fault_interrupt(unsigned n);

/* From now on nothing fails. Returns true if a call was made to fail. */
bool fault_disarm(void);

/* What failed last, for messages. */
const char *fault_name(void);

/*
 * Make every call of one name fail with this errno, armed or not, until
 * fault_always(NULL, 0): "fsetxattr", ENOSPC. Up to four names at a time.
 */
void fault_always(const char *name, int err);

/* The same, but the first calls do not fail. */
void fault_after(const char *name, unsigned spared, int err);

/*
 * Between two steps: @happen is called once, before the call of that name that
 * follows the first @spared ones. Counts as a name until fault_always(NULL, 0).
 */
void fault_before(const char *name, unsigned spared, void (*happen)(void));
