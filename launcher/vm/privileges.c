/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"

/* The last but those that the user has excepted, which are at -1000 (proc(5)). */
#define OOM_SCORE "-999"

static const struct {
	const char *name;
	int resource;
} limits[PRIVILEGES_N_LIMITS] = {
	[PRIVILEGES_CORE] = { "core", RLIMIT_CORE },
	[PRIVILEGES_MEMLOCK] = { "memlock", RLIMIT_MEMLOCK },
	[PRIVILEGES_NOFILE] = { "nofile", RLIMIT_NOFILE },
};

/* What a supervisor of root's keeps. */
static const struct {
	unsigned capability; /* what for */
} supervisors[] = {
	{ CAP_KILL },            /* signal a QEMU of another user */
	{ CAP_SYS_PTRACE },      /* freeze it, see its descriptors */
	{ CAP_DAC_READ_SEARCH }, /* list them, and those of whoever holds a lock (/proc) */
	{ CAP_SETUID },          /* open images as QEMU's user */
	{ CAP_SETGID },
	{ CAP_DAC_OVERRIDE }, /* lock files, lockspaces and leases that are another user's */
	{ CAP_CHOWN },        /* a device's lock file is its device's users' */
	{ CAP_FOWNER },
};

int privileges_set_limits(const struct privileges *privileges, struct error *err)
{
	size_t i;

	if (privileges->umask >= 0)
		umask(privileges->umask);
	for (i = 0; i < PRIVILEGES_N_LIMITS; i++) {
		if (!privileges->limits[i].given ||
			setrlimit(limits[i].resource, &privileges->limits[i].values) == 0)
			continue;
		return error_set(err, -errno, "--limit-%s: %s%s", limits[i].name, strerror(errno),
			errno == EPERM ? " (above the hard limit only who has CAP_SYS_RESOURCE "
					 "can go)"
				       : "");
	}
	return 0;
}

int privileges_bound(const struct privileges *privileges, struct error *err)
{
	int ret = 0;

	if (privileges->capabilities != CAPABILITY_ALL && !privileges->setuid_helpers)
		ret = capability_bound(privileges->capabilities);
	return ret < 0 ? error_set(err, ret, "%s", strerror(-ret)) : 0;
}

int privileges_drop(const struct privileges *privileges, struct error *err)
{
	int ret = 0;

	if (privileges->capabilities != CAPABILITY_ALL)
		ret = capability_keep(privileges->capabilities);
	return ret < 0 ? error_set(err, ret, "%s", strerror(-ret)) : 0;
}

int privileges_gain_no_more(const struct privileges *privileges, struct error *err)
{
	if (!privileges->setuid_helpers && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		return error_set(err, -errno, "no_new_privs: %s", strerror(errno));
	return 0;
}

int privileges_explain(const struct credentials *credentials, int code, struct error *err)
{
	if (code != -EACCES || credentials->uid != 0 || !credentials->limited ||
		credentials->capabilities & capability_bit(CAP_DAC_OVERRIDE))
		return code;
	return error_append(err, code,
		" (root's QEMU has no capabilities: run it as the file's owner with --user, or "
		"give --keep-capability dac_override)");
}

static void become_important(void)
{
	_cleanup_(closep) int fd = open("/proc/self/oom_score_adj", O_WRONLY | O_CLOEXEC);

	if (fd >= 0 && write(fd, OOM_SCORE, strlen(OOM_SCORE)) < 0)
		return; /* only who has CAP_SYS_RESOURCE may */
}

static uint64_t find_qemus(const struct privileges *privileges)
{
	if (privileges->capabilities == CAPABILITY_ALL && geteuid() != 0)
		return capability_ambient();
	return privileges->capabilities & capability_permitted();
}

int privileges_of_supervisor(const struct privileges *privileges, struct error *err)
{
	uint64_t keep = 0;
	int ret;
	size_t i;

	become_important();
	for (i = 0; i < sizeof(supervisors) / sizeof(*supervisors); i++)
		keep |= capability_bit(supervisors[i].capability);
	keep &= capability_permitted();
	/* without CAP_SYS_PTRACE (a user, a container's root) nobody may look at who has more */
	if (!(keep & capability_bit(CAP_SYS_PTRACE)))
		keep |= find_qemus(privileges);
	ret = capability_bound(keep);
	if (ret == 0)
		ret = capability_retain(keep);
	if (ret == 0 && prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) < 0)
		ret = -errno;
	return ret < 0 ? error_set(
				 err, ret, "drop the supervisor's capabilities: %s", strerror(-ret))
		       : 0;
}
