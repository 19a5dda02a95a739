/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/prepare_privileges.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/capability.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"

#define KVM "/dev/kvm"

/* What QEMU's own options need. With -runas it is root until it has opened its files. */
static uint64_t needed_by(const struct command_line *line)
{
	uint64_t needed = 0;

	if (line->runas)
		needed |= capability_bit(CAP_SETUID) | capability_bit(CAP_SETGID) |
			  capability_bit(CAP_DAC_OVERRIDE);
	if (line->chroot_dir)
		needed |= capability_bit(CAP_SYS_CHROOT);
	return needed;
}

static int keep_given(struct preparation *p, struct error *err)
{
	uint64_t permitted = capability_permitted(), wanted = p->options.keep_capabilities;
	_cleanup_(str_finish) struct str names = { 0 };

	p->privileges.capabilities = wanted & permitted;
	if (wanted == CAPABILITY_ALL || !(wanted & ~permitted))
		return 0;
	capability_print(wanted & ~permitted, &names);
	return error_status(err,
		error_set(err, -EPERM, "--keep-capability: vmlatch does not have %s itself",
			names.text ? names.text : "it"),
		EX_NOPERM);
}

/* Whoever has started us has set it, and nothing takes it back. */
static bool has_no_new_privs(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) == 1;
}

static int warn_of_no_new_privs(struct preparation *p)
{
	if (!p->options.allow_setuid_helpers || !has_no_new_privs())
		return 0;
	return strv_add(&p->warnings,
		"--allow-setuid-helpers: vmlatch was started with no_new_privs, so no program that "
		"QEMU starts can gain rights all the same");
}

/* Its exec would give a QEMU of root's all that the bounding set has. */
static int check_helpers(const struct preparation *p, struct error *err)
{
	if (!p->privileges.setuid_helpers || p->privileges.capabilities == CAPABILITY_ALL ||
		p->credentials.uid != 0)
		return 0;
	return error_status(err,
		error_set(err, -EINVAL,
			"--allow-setuid-helpers needs a QEMU that is not root's, who would get "
			"all capabilities back: give --user too"),
		EX_USAGE);
}

static int warn_of_root(struct preparation *p)
{
	if (p->drop_in || p->options.user || p->credentials.uid != 0)
		return 0;
	if (p->privileges.capabilities)
		return strv_add(&p->warnings,
			"QEMU runs as root, who owns the files of this host: give it a user of "
			"its own with --user");
	return strv_add(&p->warnings,
		"QEMU runs as root, but has no capabilities: it owns root's files, and is refused "
		"those of others, ports below 1024 and the like (--keep-capability lets it). Give "
		"it a user of its own with --user");
}

/* What QEMU would say of these is a riddle to who does not think of capabilities. */
static int warn_of_network(struct preparation *p, const struct command_line *line)
{
	_cleanup_(freep) char *sentence = NULL;
	uint64_t has = p->privileges.capabilities;
	bool never = has_no_new_privs();
	int ret = 0;

	/*
	 * Of a strict filter somebody else warns, and it cannot be with that option. What a
	 * drop-in's QEMU would meet without us it says itself.
	 */
	if (line->helper_origin && !p->privileges.setuid_helpers &&
		p->options.sandbox != SANDBOX_STRICT && !(never && p->drop_in))
		ret = asprintf(&sentence,
			"%s: no program that QEMU starts gains root's rights, and a bridge helper "
			"needs them: %s",
			line->helper_origin,
			never ? "start vmlatch without no_new_privs, and with "
				"--allow-setuid-helpers"
			      : "--allow-setuid-helpers lets it");
	else if (line->interface_origin && !(has & capability_bit(CAP_NET_ADMIN)))
		ret = asprintf(&sentence,
			"%s: QEMU can use a network interface that is its user's already, but make "
			"none: --keep-capability net_admin lets it",
			line->interface_origin);
	if (ret < 0)
		return -ENOMEM;
	return sentence ? strv_add(&p->warnings, sentence) : 0;
}

static bool may_lock_any_memory(const struct privileges *privileges)
{
	const struct privileges_rlimit *given = &privileges->limits[PRIVILEGES_MEMLOCK];
	struct rlimit own = { .rlim_cur = RLIM_INFINITY };

	if (!given->given)
		getrlimit(RLIMIT_MEMLOCK, &own);
	return (given->given ? given->values.rlim_cur : own.rlim_cur) == RLIM_INFINITY;
}

/* Of an argument that works for root only because of capabilities that his QEMU has not. */
static int warn_of_loss(
	struct preparation *p, const char *origin, uint64_t capabilities, const char *why)
{
	uint64_t lost = capability_permitted() & ~p->privileges.capabilities;
	_cleanup_(freep) char *sentence = NULL;

	if (!origin || !(lost & capabilities))
		return 0;
	if (asprintf(&sentence, "%s: %s", origin, why) < 0)
		return -ENOMEM;
	return strv_add(&p->warnings, sentence);
}

static int warn_of_losses(struct preparation *p, const struct command_line *line)
{
	int ret = 0;

	if (!may_lock_any_memory(&p->privileges))
		ret = warn_of_loss(p, line->locking_origin, capability_bit(CAP_IPC_LOCK),
			"it locks all of the guest's memory, for which QEMU's limit may be too "
			"low: --limit-memlock infinity lifts it");
	/* Root's smbd sets groups and user for each client, and panics if it cannot (seen
	 * with 4.17). */
	if (ret == 0 && p->credentials.uid == 0)
		ret = warn_of_loss(p, line->smb_origin,
			capability_bit(CAP_SETGID) | capability_bit(CAP_SETUID),
			"smbd cannot be root's without capabilities: --keep-capability "
			"setgid,setuid lets it, and a QEMU of another user (--user) needs none");
	if (ret < 0)
		return ret;
	return warn_of_loss(p, line->owners_origin, capability_bit(CAP_CHOWN),
		"QEMU can give no file to another user, and write to its own user's only: "
		"--keep-capability chown,dac_override,fowner,fsetid,mknod lets it");
}

/* By its rights alone: that there is none QEMU says itself. */
static bool may_not_open(const struct credentials *credentials, const char *path)
{
	struct credentials_saved saved;
	int fd, ret;

	if (credentials_enter(credentials, &saved, NULL) < 0)
		return false; /* the first image says so */
	fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	ret = fd < 0 ? -errno : 0;
	credentials_leave(&saved);
	if (fd >= 0)
		close(fd);
	return ret == -EACCES || ret == -EPERM;
}

/* The group that a device is for. NULL: none. */
static const char *group_of(const char *path)
{
	const mode_t use = S_IRGRP | S_IWGRP;
	const struct group *entry;
	struct stat info;

	if (stat(path, &info) < 0 || (info.st_mode & use) != use || info.st_gid == 0)
		return NULL;
	entry = getgrgid(info.st_gid);
	return entry ? entry->gr_name : NULL;
}

/* QEMU names neither the user nor the group. */
static int warn_of_kvm(struct preparation *p, const struct command_line *line)
{
	_cleanup_(str_finish) struct str text = { 0 };
	const char *group;

	if (!line->kvm_origin || (p->drop_in && !p->credentials.change) ||
		!may_not_open(&p->credentials, KVM))
		return 0;
	str_printf(&text, "%s: QEMU's user ", line->kvm_origin);
	if (p->options.user)
		str_printf(&text, "'%s'", p->options.user);
	else
		str_printf(&text, "(uid %u)", p->credentials.uid);
	str_printf(&text, " may not open " KVM ", so it %s: ",
		line->kvm_or_other ? "does without KVM, and is slow" : "will not start");
	group = group_of(KVM);
	if (group)
		str_printf(&text, "make him a member of the group '%s'", group);
	else
		str_append(&text, "give that a group which may read and write, and him that group");
	return text.failed ? -ENOMEM : strv_add(&p->warnings, text.text);
}

/* To its caller a drop-in is QEMU, so it is what QEMU would be, unless somebody says otherwise. */
int prepare_privileges(struct preparation *p, const struct command_line *line, struct error *err)
{
	const struct options *options = &p->options;
	struct privileges *privileges = &p->privileges;
	bool as_without_us = p->drop_in && !options->keep_given && !p->credentials.change;
	int ret = 0;

	memcpy(privileges->limits, options->limits, sizeof(privileges->limits));
	privileges->umask = options->umask;
	if (options->keep_given)
		ret = keep_given(p, err);
	else if (as_without_us)
		privileges->capabilities = CAPABILITY_ALL;
	else
		privileges->capabilities = needed_by(line) & capability_permitted();
	privileges->setuid_helpers =
		(options->helpers_given ? options->allow_setuid_helpers : as_without_us) &&
		!has_no_new_privs();
	p->credentials.limited = privileges->capabilities != CAPABILITY_ALL;
	p->credentials.capabilities = privileges->capabilities;
	if (ret == 0)
		ret = check_helpers(p, err);
	if (ret == 0)
		ret = warn_of_no_new_privs(p);
	if (ret == 0)
		ret = warn_of_root(p);
	if (ret == 0)
		ret = warn_of_losses(p, line);
	if (ret == 0)
		ret = warn_of_kvm(p, line);
	return ret < 0 ? ret : warn_of_network(p, line);
}
