/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/doctor/reach.h"

#include <fnmatch.h>
#include <string.h>

#include "base/str.h"

#define ONE_HOST   "a file system of this host alone"
#define NO_SERVER  "it keeps byte locks on this host and does not tell the server"
#define NO_CLUSTER "it is mounted for one host alone"
#define ASK_PROGRAM \
	"whether its byte locks leave this host is the business of the program behind it"
#define USE_NFS "use NFS 4, or another file system that keeps byte locks for all hosts"

/* By type; the first row that fits counts. */
static const struct {
	const char *type; /* a shell pattern */
	struct reach reach;
} types[] = {
	{ "nfs4", { REACH_YES, true, "NFS 4 keeps byte locks on the server", NULL } },
	{ "nfs", { REACH_YES, true,
			 "NFS 2 and 3 keep byte locks on the server by its lock daemon (NLM)",
			 "let statd run on every host, or better mount it with vers=4.2" } },
	{ "ceph", { REACH_YES, true, "Ceph keeps byte locks on its servers", NULL } },
	{ "fuse.ceph*", { REACH_YES, true, "Ceph keeps byte locks on its servers", NULL } },
	{ "fuse.glusterfs", { REACH_YES, true, "Gluster keeps byte locks on its servers", NULL } },
	{ "gfs2", { REACH_YES, true, "GFS2 keeps byte locks for its cluster", NULL } },
	{ "ocfs2", { REACH_UNKNOWN, true,
			   "OCFS2 keeps byte locks for its cluster with some stacks only",
			   "ask its documentation for 'userspace cluster stack', or use leases" } },
	{ "gpfs", { REACH_YES, true, "GPFS keeps byte locks for its cluster", NULL } },
	{ "lustre",
		{ REACH_UNKNOWN, true, "Lustre keeps byte locks for all hosts only with 'flock'",
			"mount it with -o flock" } },
	{ "cifs", { REACH_UNKNOWN, true,
			  "SMB's locks are the server's, and follow rules of its own (mandatory)",
			  USE_NFS } },
	{ "smb3", { REACH_UNKNOWN, true,
			  "SMB's locks are the server's, and follow rules of its own (mandatory)",
			  USE_NFS } },
	{ "9p", { REACH_UNKNOWN, true,
			"whether a 9p server obeys byte locks is its own business (QEMU's does "
			"not)",
			USE_NFS } },
	{ "virtiofs",
		{ REACH_UNKNOWN, true, "virtiofsd takes no locks on its host unless it is told to",
			USE_NFS } },
	{ "afs", { REACH_NO, true, "AFS locks whole files, not bytes", USE_NFS } },
	{ "beegfs",
		{ REACH_UNKNOWN, true,
			"BeeGFS keeps byte locks for all hosts only with tuneUseGlobalFileLocks",
			"set tuneUseGlobalFileLocks in each client's configuration" } },
	{ "fuse.sshfs", { REACH_NO, true, NO_SERVER, USE_NFS } },
	{ "fuse.rclone", { REACH_NO, true, NO_SERVER, USE_NFS } },
	{ "fuse.s3fs", { REACH_NO, true, NO_SERVER, USE_NFS } },
	{ "fuse.gcsfuse", { REACH_NO, true, NO_SERVER, USE_NFS } },
	{ "fuse.curlftpfs", { REACH_NO, true, NO_SERVER, USE_NFS } },
	{ "fuse", { REACH_UNKNOWN, true, ASK_PROGRAM, USE_NFS } },
	{ "fuse.*", { REACH_UNKNOWN, true, ASK_PROGRAM, USE_NFS } },
	{ "fuseblk", { REACH_NO, false, ONE_HOST, NULL } },
	{ "overlay",
		{ REACH_NO, false, "an overlay: what is written lies in this host's upper layer",
			"use its files through it alone: a file of its layers is another file to "
			"locks" } },
	{ "tmpfs", { REACH_NO, false, "this host's memory", NULL } },
	{ "ramfs", { REACH_NO, false, "this host's memory", NULL } },
	{ "devtmpfs", { REACH_NO, false, "this host's memory", NULL } },
	{ "ext[234]", { REACH_NO, false, ONE_HOST, NULL } },
	{ "xfs", { REACH_NO, false, ONE_HOST, NULL } },
	{ "btrfs", { REACH_NO, false, ONE_HOST, NULL } },
	{ "bcachefs", { REACH_NO, false, ONE_HOST, NULL } },
	{ "f2fs", { REACH_NO, false, ONE_HOST, NULL } },
	{ "zfs", { REACH_NO, false, ONE_HOST, NULL } },
	{ "squashfs", { REACH_NO, false, ONE_HOST, NULL } },
	{ "erofs", { REACH_NO, false, ONE_HOST, NULL } },
	{ "iso9660", { REACH_NO, false, ONE_HOST, NULL } },
	{ "vfat", { REACH_NO, false, ONE_HOST, NULL } },
	{ "exfat", { REACH_NO, false, ONE_HOST, NULL } },
	{ "ntfs*", { REACH_NO, false, ONE_HOST, NULL } },
};

/* What an option makes of it. */
static const struct {
	const char *type;
	const char *option;
	const char *value; /* NULL: any */
	struct reach reach;
} exceptions[] = {
	{ "nfs*", "local_lock", "all",
		{ REACH_NO, true, "'local_lock=all' keeps byte locks on this host",
			"mount it without 'local_lock' and 'nolock', on every host" } },
	{ "nfs*", "local_lock", "posix",
		{ REACH_NO, true, "'local_lock=posix' keeps byte locks on this host",
			"mount it without 'local_lock', on every host" } },
	{ "nfs", "nolock", NULL,
		{ REACH_NO, true, "'nolock' keeps byte locks on this host",
			"mount it without 'nolock', on every host, or with vers=4.2" } },
	{ "cifs", "nobrl", NULL,
		{ REACH_NO, true, "'nobrl' keeps byte locks on this host", USE_NFS } },
	{ "smb3", "nobrl", NULL,
		{ REACH_NO, true, "'nobrl' keeps byte locks on this host", USE_NFS } },
	{ "lustre", "localflock", NULL,
		{ REACH_NO, true, "'localflock' keeps byte locks on this host",
			"mount it with -o flock, on every host" } },
	{ "lustre", "flock", NULL,
		{ REACH_YES, true, "Lustre with 'flock' keeps byte locks for all hosts", NULL } },
	{ "gfs2", "localflocks", NULL,
		{ REACH_NO, true, "'localflocks' keeps byte locks on this host",
			"mount it without 'localflocks'" } },
	{ "gfs2", "lockproto", "lock_nolock",
		{ REACH_NO, false, NO_CLUSTER, "mount it with lockproto=lock_dlm" } },
	{ "ocfs2", "localflocks", NULL,
		{ REACH_NO, true, "'localflocks' keeps byte locks on this host",
			"mount it without 'localflocks'" } },
};

#define N_OF(array) (sizeof(array) / sizeof((array)[0]))

static const struct reach *exception_find(const struct mount *mount)
{
	char value[64];
	size_t i;

	for (i = 0; i < N_OF(exceptions); i++) {
		if (fnmatch(exceptions[i].type, mount->type, 0) != 0 ||
			!mount_has_option(mount, exceptions[i].option, value, sizeof(value)))
			continue;
		if (!exceptions[i].value || strcmp(exceptions[i].value, value) == 0)
			return &exceptions[i].reach;
	}
	return NULL;
}

struct reach reach_of(const struct mount *mount)
{
	static const struct reach strange = { REACH_UNKNOWN, true,
		"a type of file system that vmlatch does not know", "try it from two hosts" };
	static const struct reach nowhere = { REACH_UNKNOWN, true,
		"the kernel does not tell what is mounted there", NULL };
	const struct reach *exception;
	size_t i;

	if (!mount)
		return nowhere;
	exception = exception_find(mount);
	if (exception)
		return *exception;
	for (i = 0; i < N_OF(types); i++) {
		if (fnmatch(types[i].type, mount->type, 0) == 0)
			return types[i].reach;
	}
	return strange;
}

const char *reach_answer_name(enum reach_answer answer)
{
	static const char *const names[] = {
		[REACH_UNKNOWN] = "unknown",
		[REACH_NO] = "no",
		[REACH_YES] = "yes",
	};

	return names[answer];
}

void reach_options(const struct mount *mount, struct str *out)
{
	static const char *const telling[] = { "ro", "vers", "local_lock", "nolock", "soft",
		"softerr", "hard", "nosharecache", "noac", "nobrl", "cache", "flock", "localflock",
		"localflocks", "lockproto", "nouser_xattr" };
	char value[64];
	size_t i;

	for (i = 0; i < N_OF(telling); i++) {
		if (!mount_has_option(mount, telling[i], value, sizeof(value)))
			continue;
		str_printf(
			out, "%s%s%s%s", out->len ? "," : "", telling[i], *value ? "=" : "", value);
	}
}
