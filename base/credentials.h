/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/error.h"
#include "base/public.h"

/*
 * Whose rights count when a file is opened. A guest can write any name into its
 * own image's header, so images are opened with the rights of the user that QEMU
 * runs as, never with ours.
 */
struct credentials {
	/* QEMU keeps no capabilities but these: so no others open its files either */
	bool limited;
	uint64_t capabilities; /* bits, capability.h */

	bool change; /* false: the caller's own, and nothing below @uid counts */
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* supplementary */
	size_t n_groups;
};

/*
 * What --user and --group name: a name or a number. A user brings its primary
 * group (unless @group says otherwise) and its supplementary ones. Who has no
 * root's rights may name himself, and keeps the groups that he has.
 *
 * @user, @group	NULL: not given; both NULL: @ret->change is false
 * @ret			end it with credentials_finish()
 *
 * Returns 0 or -errno with a sentence (-ENOENT: no such user or group).
 */
int credentials_find(
	const char *user, const char *group, struct credentials *ret, struct error *err);
void credentials_finish(struct credentials *credentials);

/*
 * From enter to leave, this thread (and only it: raw system calls, where libc
 * would change all threads) accesses files with these rights. The kernel takes
 * the file capabilities away with the user id and gives them back.
 *
 * @saved	for credentials_leave(), which ends it; leaving twice is fine
 *
 * Returns 0 or -errno with a sentence, and then nothing has changed and @saved
 * owns nothing. Leaving cannot fail: what it gives back are the thread's own rights.
 */
struct credentials_saved {
	bool limited;
	uint64_t capabilities;
	bool changed;
	uid_t uid;
	gid_t gid;
	gid_t *groups; /* ours until it leaves */
	size_t n_groups;
};
_public_ int credentials_enter(
	const struct credentials *credentials, struct credentials_saved *saved, struct error *err);
_public_ void credentials_leave(struct credentials_saved *saved);

/*
 * For good: this whole process (it has one thread) becomes that user. Its permitted
 * capabilities stay for capability_keep(); exec ends that. 0 or -errno.
 */
int credentials_become(const struct credentials *credentials, struct error *err);
