/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* What this host's databases of users and groups say of somebody. */
struct account {
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary; account_finish() */
	size_t n_groups;
};

/*
 * Look up a user, a group or both. As chown(1) does, and QEMU: what is a name is one,
 * if it is made of digits, too; else digits are the number. A number that no account
 * has brings the group of the same number, and no others.
 *
 * libc loads the modules that /etc/nsswitch.conf names for this, with threads, descriptors
 * and code of their own. So a process of its own does it, and ends: neither the supervisor
 * nor what becomes QEMU is to have anything of them. It is waited for without a deadline,
 * since nothing is held yet and a directory server may be slow; a signal that ends the
 * caller ends it, too. To be called before there is a second thread.
 *
 * @user, @group	NULL: not asked for; what nobody asked for stays the caller's own
 *
 * Returns 0 or -errno with a sentence (-ENOENT: no such user or group; -ECHILD: a module
 * has ended that process, or made it say nonsense).
 */
int account_find(const char *user, const char *group, struct account *ret, struct error *err);
void account_finish(struct account *account);
