/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/credentials.h"

#include <errno.h>
#include <grp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/fsuid.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/account.h"
#include "base/capability.h"

/* Without root's rights nobody can take groups, not even his own: nor need he. */
static bool are_ours(const struct credentials *found)
{
	return geteuid() != 0 && found->uid == geteuid() && found->gid == getegid();
}

int credentials_find(
	const char *user, const char *group, struct credentials *ret, struct error *err)
{
	struct credentials found = { .uid = geteuid(), .gid = getegid() };
	struct account account;
	int code;

	if (user || group) {
		code = account_find(user, group, &account, err);
		if (code < 0)
			return code;
		found.uid = account.uid;
		found.gid = account.gid;
		found.groups = account.groups;
		found.n_groups = account.n_groups;
		found.change = !are_ours(&found);
	}
	*ret = found;
	return 0;
}

void credentials_finish(struct credentials *credentials)
{
	free(credentials->groups);
	*credentials = (struct credentials){ 0 };
}

static int thread_set_groups(size_t n, const gid_t *groups)
{
	return syscall(SYS_setgroups, n, groups) < 0 ? -errno : 0;
}

/* Nothing has changed yet. */
static int groups_save(struct credentials_saved *saved, struct error *err)
{
	int n = getgroups(0, NULL);

	if (n > 0)
		saved->groups = calloc(n, sizeof(gid_t));
	if (n > 0 && !saved->groups)
		return error_set(err, -ENOMEM, "no memory for our %d groups", n);
	n = getgroups(n, saved->groups);
	if (n < 0)
		return error_set(err, -errno, "read our groups: %s", strerror(errno));
	saved->n_groups = n;
	return 0;
}

static int enter_groups(const struct credentials *credentials, struct error *err)
{
	int ret = thread_set_groups(credentials->n_groups, credentials->groups);

	if (ret == -ENOMEM)
		return error_set(err, ret, "no memory for the %zu groups of user %u",
			credentials->n_groups, credentials->uid);
	/* in a user namespace, groups that it does not have are "Invalid argument" */
	if (ret < 0)
		return error_set(err, -EPERM, "may not take the groups of user %u (run as root)",
			credentials->uid);
	return 0;
}

static int enter_user(
	const struct credentials *credentials, struct credentials_saved *saved, struct error *err)
{
	int ret = groups_save(saved, err);

	if (ret < 0)
		return ret;
	saved->uid = geteuid();
	saved->gid = getegid();
	saved->changed = true;
	ret = enter_groups(credentials, err);
	if (ret < 0)
		return ret;
	/* both calls return the old id and report nothing; asking again tells */
	setfsgid(credentials->gid);
	setfsuid(credentials->uid);
	if (setfsuid(-1) == (int)credentials->uid && setfsgid(-1) == (int)credentials->gid)
		return 0;
	return error_set(
		err, -EPERM, "may not open files as user %u (run as root)", credentials->uid);
}

int credentials_enter(
	const struct credentials *credentials, struct credentials_saved *saved, struct error *err)
{
	int ret = 0;

	*saved = (struct credentials_saved){ 0 };
	if (credentials->change)
		ret = enter_user(credentials, saved, err);
	if (ret == 0 && credentials->limited) {
		ret = capability_use(credentials->capabilities, &saved->capabilities);
		saved->limited = ret == 0;
		if (ret < 0)
			error_set(err, ret, "lower our capabilities: %s", strerror(-ret));
	}
	if (ret < 0)
		credentials_leave(saved);
	return ret;
}

void credentials_leave(struct credentials_saved *saved)
{
	if (saved->limited)
		capability_use(saved->capabilities, NULL);
	if (saved->changed) {
		setfsuid(saved->uid);
		setfsgid(saved->gid);
		thread_set_groups(saved->n_groups, saved->groups);
	}
	free(saved->groups);
	*saved = (struct credentials_saved){ 0 };
}

int credentials_become(const struct credentials *credentials, struct error *err)
{
	if (!credentials->change)
		return 0;
	if (prctl(PR_SET_KEEPCAPS, 1) < 0)
		return error_set(
			err, -errno, "keep capabilities as another user: %s", strerror(errno));
	if (setgroups(credentials->n_groups, credentials->groups) < 0)
		return error_set(err, -errno, "set supplementary groups: %s", strerror(errno));
	if (setresgid(credentials->gid, credentials->gid, credentials->gid) < 0)
		return error_set(
			err, -errno, "become group %u: %s", credentials->gid, strerror(errno));
	if (setresuid(credentials->uid, credentials->uid, credentials->uid) < 0)
		return error_set(
			err, -errno, "become user %u: %s", credentials->uid, strerror(errno));
	return 0;
}
