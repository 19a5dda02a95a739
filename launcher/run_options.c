/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <string.h>

#include "launcher/option_value.h"
#include "launcher/options.h"
#include "locking/lease.h"

static unsigned release_word(const char *word, size_t len)
{
	static const struct {
		const char *name;
		unsigned bit;
	} words[] = {
		{ "stop", RELEASE_ON_STOP },
		{ "watchdog", RELEASE_ON_WATCHDOG },
		{ "io-error", RELEASE_ON_IO_ERROR },
	};
	size_t i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++) {
		if (strlen(words[i].name) == len && strncmp(words[i].name, word, len) == 0)
			return words[i].bit;
	}
	return 0;
}

static int set_release_on(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	struct options *options = base;
	const char *at = value;
	unsigned all = 0;

	(void)spec;
	while (strcmp(value, "none") != 0) {
		size_t len = strcspn(at, ",");
		unsigned bit = release_word(at, len);

		if (!bit)
			return error_set(err, -EINVAL,
				"--release-on needs 'none' or a list of stop, watchdog and "
				"io-error, not '%s'",
				value);
		all |= bit;
		if (!at[len])
			break;
		at += len + 1;
	}
	options->release_on = all;
	options->release_on_given = true;
	return 0;
}

static int add_lease(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	struct options *options = base;
	struct lease lease;
	int ret = lease_from_text(value, &lease, err);

	(void)spec;
	if (ret < 0)
		return ret;
	if (strv_add(&options->leases, value) < 0)
		return error_set(err, -ENOMEM, "out of memory");
	return 0;
}

static int set_keep_capability(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	struct options *options = base;
	const char *unknown;
	size_t len;

	(void)spec;
	if (capability_parse(value, &options->keep_capabilities, &unknown, &len) < 0)
		return error_set(err, -EINVAL,
			"--keep-capability needs none, all or names of capabilities(7) such as "
			"net_admin, not '%.*s'",
			len < 64 ? (int)len : 64, unknown);
	options->keep_given = true;
	return 0;
}

static int set_setuid_helpers(
	const struct option_spec *spec, void *base, const char *value, struct error *err)
{
	struct options *options = base;
	int ret = option_set_switch(spec, base, value, err);

	options->helpers_given |= ret == 0;
	return ret;
}

#define ROW(member, setter) .set = (setter), .offset = offsetof(struct options, member)

static const struct option_spec specs[] = {
	{ "name", "NAME", "the VM's name (default: QEMU's -name, -uuid, or vm-PID)",
		ROW(name, option_set_vm_name), .rules = OPTION_NOT_PER_VM },
	{ "lock", "DRIVER", "how disks are locked: file (default), nop, or one that is loaded",
		ROW(lock, option_set_module) },
	{ "lockspace", "DIR", "lock files in this (shared) directory too",
		ROW(lockspace, option_set_path) },
	{ "lockspace-name", "path|identity",
		"what a lock file is named by: the image's path (default) or its inode",
		ROW(lockspace_by_identity, option_set_switch),
		.words = (const char *const[]){ "path", "identity" } },
	{ "lease", "SPACE:KEY[:PATH[:OFFSET]]", "an explicit lease too; may be repeated",
		ROW(leases, add_lease) },
	{ "acquire", "start|resume", "lock before QEMU starts, or before the guest runs",
		ROW(acquire, option_set_word),
		.words = (const char *const[]){ "", "start", "resume", NULL } },
	{ "wait", "SECONDS", "wait that long for a busy lock at the start (default 0)",
		ROW(wait_ms, option_set_seconds) },
	{ "on-lock-failure", "pause|poweroff", "when a lock is lost, busy or stale (default pause)",
		ROW(on_lock_failure, option_set_word),
		.words = (const char *const[]){ "pause", "poweroff", NULL } },
	{ "release-on", "LIST", "pauses that give the locks back: stop,watchdog,io-error or none",
		ROW(release_on, set_release_on) },
	{ "release-after", "SECONDS", "keep the locks through pauses that are shorter (default 0)",
		ROW(release_after_ms, option_set_seconds) },
	{ "deactivate", "auto|no", "make QEMU let go of the disk before a release (default auto)",
		ROW(deactivate, option_set_switch),
		.words = (const char *const[]){ "no", "auto" } },
	{ "readonly-locks", "yes|no", "shared locks on read-only images (default yes)",
		ROW(readonly_locks, option_set_switch) },
	{ "start", "verified|direct", "compare QEMU's disks with the locks before the guest runs",
		ROW(start, option_set_word),
		.words = (const char *const[]){ "", "verified", "direct", NULL } },
	{ "user", "USER", "what QEMU runs as (default: ourselves)", ROW(user, option_set_text) },
	{ "group", "GROUP", "likewise (default: the user's)", ROW(group, option_set_text) },
	{ "keep-capability", "LIST",
		"capabilities that QEMU keeps (default: those of -runas, -chroot)",
		.set = set_keep_capability },
	{ "allow-setuid-helpers", NULL, "programs that QEMU starts may gain rights (bridge helper)",
		ROW(allow_setuid_helpers, set_setuid_helpers) },
	{ "limit-core", "SIZE[:HARD]", "QEMU's core file: a size such as 512M, or infinity",
		ROW(limits[PRIVILEGES_CORE], option_set_rlimit) },
	{ "limit-memlock", "SIZE[:HARD]", "the memory that QEMU may lock",
		ROW(limits[PRIVILEGES_MEMLOCK], option_set_rlimit) },
	{ "limit-nofile", "N[:HARD]", "QEMU's open files",
		ROW(limits[PRIVILEGES_NOFILE], option_set_rlimit) },
	{ "umask", "MODE", "of the files that QEMU makes, such as 027",
		ROW(umask, option_set_umask) },
	{ "sandbox", "default|strict|off", "the system calls that QEMU may make (default default)",
		ROW(sandbox, option_set_word),
		.words = (const char *const[]){ "", "default", "strict", "off", NULL } },
	{ "on-supervisor-death", "keep|kill", "QEMU's fate when vmlatch is killed (default keep)",
		ROW(on_supervisor_death, option_set_word),
		.words = (const char *const[]){ "keep", "kill", NULL } },
	{ "in-place", NULL, "become QEMU, and leave the supervisor behind as a process of its own",
		ROW(in_place, option_set_switch) },
	{ "qemu", "PATH", "the real QEMU behind a name that vmlatch is called by",
		ROW(qemu, option_set_path), .rules = OPTION_CONFIG_ONLY },
	{ "qmp", "PATH", "where vmlatch's own QMP socket listens", ROW(qmp, option_set_path) },
	{ "require-locks", NULL, "an image that cannot be locked is an error, not a warning",
		ROW(require_locks, option_set_switch) },
	{ "host-name", "NAME", "this host in records (default: the host name)",
		ROW(host_name, option_set_text) },
	{ "config", "FILE", "instead of vmlatch.conf and vmlatch.conf.d",
		ROW(config, option_set_path), .rules = OPTION_NOT_IN_CONFIG },
	{ "log-level", "error|warning|notice|info|debug", "how much is said (default notice)",
		ROW(log_level, option_set_word),
		.words = (const char *const[]){ "error", "warning", "notice", "info", "debug",
			NULL } },
	{ "log-format", "text|json", "of the lines on stderr (default text)",
		ROW(log_format, option_set_word),
		.words = (const char *const[]){ "text", "json", NULL } },
	{ "json", NULL, "the result as JSON", ROW(json, option_set_switch),
		.rules = OPTION_NOT_IN_CONFIG | OPTION_CHECK_ONLY },
};

const struct option_table run_options = { specs, sizeof(specs) / sizeof(specs[0]) };
_Static_assert(sizeof(specs) / sizeof(specs[0]) <= 64, "option_bit() has no room for more");
