/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"

/* Sets of capabilities(7): bit N is the capability with the number N. */

#define CAPABILITY_ALL UINT64_MAX

static inline uint64_t capability_bit(unsigned capability)
{
	return UINT64_C(1) << capability;
}

/*
 * "none", "all", or names such as net_admin and CAP_NET_ADMIN, with commas.
 *
 * Returns 0; or -EINVAL, and @unknown is the first that the kernel's headers
 * do not know, in @list, @len bytes long.
 */
int capability_parse(const char *list, uint64_t *ret, const char **unknown, size_t *len);

/* "net_admin, sys_ptrace"; nothing for an empty set. Each that this kernel has counts. */
void capability_print(uint64_t set, struct str *out);

/* What this thread may have: its permitted set. */
uint64_t capability_permitted(void);

/* What it gives to a program that is executed, without being root: its ambient set. */
uint64_t capability_ambient(void);

/*
 * Make the thread's effective set what of @set is permitted; the permitted set stays.
 *
 * @previous	what it was; may be NULL
 *
 * Returns 0 or -errno.
 */
int capability_use(uint64_t set, uint64_t *previous);

/*
 * For good: no exec gives this process (it has one thread) more than @set. The bounding
 * set, and that neither being root nor a program of root's gives any (SECBIT_NOROOT).
 * Who has no CAP_SETPCAP has nothing to bound: 0. Else 0 or -errno.
 */
int capability_bound(uint64_t set);

/*
 * For good: permitted, effective, inheritable and ambient are @set, which what is
 * executed keeps. 0 or -errno (-EPERM: one that we do not have).
 */
int capability_keep(uint64_t set);

/* The same where nothing is to be executed: permitted and effective are @set, the rest is empty. */
int capability_retain(uint64_t set);
