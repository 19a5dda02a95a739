/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/resource.h>

#include "base/capability.h"
#include "base/credentials.h"
#include "base/error.h"

/*
 * What QEMU's process may do, and what the supervisor's may. Each of the functions
 * is a step on the way to QEMU (stage.h), in this order, in the one thread of the
 * process that becomes it; each returns 0 or -errno with a sentence.
 */

enum privileges_limit {
	PRIVILEGES_CORE,
	PRIVILEGES_MEMLOCK,
	PRIVILEGES_NOFILE,
	PRIVILEGES_N_LIMITS,
};

struct privileges_rlimit {
	bool given; /* else it stays */
	struct rlimit values;
};

struct privileges {
	struct privileges_rlimit limits[PRIVILEGES_N_LIMITS];
	int umask;             /* -1: as ours */
	uint64_t capabilities; /* that QEMU keeps; CAPABILITY_ALL: all is as it is without us */
	/* what QEMU executes may gain rights, as qemu-bridge-helper does; false, too, where
	 * no_new_privs was set before us */
	bool setuid_helpers;
};

int privileges_set_limits(const struct privileges *privileges, struct error *err);
int privileges_bound(const struct privileges *privileges, struct error *err);
/* between these two the process becomes another user: credentials_become() */
int privileges_drop(const struct privileges *privileges, struct error *err);
int privileges_gain_no_more(const struct privileges *privileges, struct error *err);

/*
 * Opening an image has failed with @code, and @err says so: add what root is not used
 * to, that he may not open other users' files. Returns @code.
 */
int privileges_explain(const struct credentials *credentials, int code, struct error *err);

/*
 * The supervisor's, before it has a second thread: it drops what it does not need. What
 * QEMU has (@privileges) it may need to be allowed to look at it, as ptrace(2) says.
 * It also asks to be one of the last to be killed for want of memory; where that is
 * not allowed it stays as it is.
 */
int privileges_of_supervisor(const struct privileges *privileges, struct error *err);
