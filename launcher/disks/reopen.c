/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/reopen.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/credentials.h"
#include "base/fd.h"

static int reason_add(struct strv *reasons, const char *option, const char *path, const char *why)
{
	_cleanup_(freep) char *reason = NULL;

	if (asprintf(&reason, "%s: %s%s", option, path, why) < 0)
		return -ENOMEM;
	return strv_add(reasons, reason);
}

/* What a name means when that directory is the root. */
static int stat_in_root(const char *root, const char *name, struct stat *info)
{
	struct open_how how = { .flags = O_PATH | O_CLOEXEC, .resolve = RESOLVE_IN_ROOT };
	_cleanup_(closep) int dir = open(root, O_PATH | O_DIRECTORY | O_CLOEXEC);
	_cleanup_(closep) int file = -1;

	if (dir < 0)
		return -errno;
	file = syscall(SYS_openat2, dir, name, &how, sizeof(how));
	return file < 0 || fstat(file, info) < 0 ? -errno : 0;
}

/* A number as QEMU reads it: 0x and 0 in front tell the base. Returns its end, or NULL. */
static const char *id_read(const char *text, uid_t *ret)
{
	unsigned long number;
	char *end;

	errno = 0;
	number = strtoul(text, &end, 0);
	if (end == text || errno || number >= UINT32_MAX)
		return NULL;
	*ret = number;
	return end;
}

/*
 * -runas NAME or UID:GID, as in os_parse_runas_uid_gid() of QEMU 7.2: these are numbers, and
 * bring no other groups. A name has no colon, so nobody needs to be asked for one that has.
 */
static int runas_find(const char *text, struct credentials *ret, struct error *err)
{
	struct credentials numbers = { .change = true };
	const char *end;

	if (!strchr(text, ':'))
		return credentials_find(text, NULL, ret, err);
	end = id_read(text, &numbers.uid);
	if (!end || *end != ':')
		return -ENOENT;
	end = id_read(end + 1, &numbers.gid);
	if (!end || *end)
		return -ENOENT;
	*ret = numbers;
	return 0;
}

/* The image behind it, if it is written. NULL else, as for the guest's memory: no block node. */
static const struct disk_image *find_writable(
	const struct disks *disks, const struct resource *resource)
{
	if (resource->kind != RESOURCE_DISK || resource->mode == RESOURCE_READER)
		return NULL;
	return disks_find_image(disks, resource);
}

/* @denied: the first image that this user cannot write to. NULL: none, or QEMU cannot become him.
 */
static int find_denied(
	const struct disks *disks, const char *user, const char **denied, struct error *err)
{
	_cleanup_(credentials_finish) struct credentials credentials = { 0 };
	struct credentials_saved saved;
	int ret = runas_find(user, &credentials, err);
	size_t i;

	if (ret == 0)
		ret = credentials_enter(&credentials, &saved, err);
	if (ret < 0)
		return ret == -ENOENT || ret == -EPERM ? 0 : ret; /* QEMU says it */
	for (i = 0; !*denied && i < disks->set.n; i++) {
		const struct disk_image *image = find_writable(disks, &disks->set.items[i]);

		if (image && faccessat(AT_FDCWD, image->path, R_OK | W_OK, AT_EACCESS) < 0)
			*denied = image->path;
	}
	credentials_leave(&saved);
	return 0;
}

/* Its first name that is another file below that directory, or none. NULL: all are the same. */
static const char *find_moved(const struct disk_image *image, const char *root)
{
	const char *names[] = { image->path, image->other_path };
	struct stat info;
	size_t i;

	for (i = 0; i < 2; i++) {
		if (names[i] && (stat_in_root(root, names[i], &info) < 0 ||
					!resource_identity_is(&image->id, &info)))
			return names[i];
	}
	return NULL;
}

static int judge_chroot(const struct disks *disks, struct strv *reasons)
{
	const char *root = disks->line.chroot_dir;
	struct stat info = { 0 };
	size_t i;

	if (disks->by_descriptor)
		return reason_add(reasons, "-chroot", "",
			"an image is named by a descriptor, below a /dev or /proc that QEMU "
			"leaves; write the image's own name");
	for (i = 0; i < disks->set.n; i++) {
		const struct disk_image *image = find_writable(disks, &disks->set.items[i]);
		const char *name = image ? find_moved(image, root) : NULL;

		if (name)
			return reason_add(reasons, "-chroot", name,
				" is another file below that directory, or none, and QEMU would "
				"open it again by its name; leave it out, or take --user");
	}
	/* our 'xen-save-devices-state' is told to write there, and would make a file */
	if (stat_in_root(root, "/dev/null", &info) < 0 || !S_ISCHR(info.st_mode))
		return reason_add(reasons, "-chroot", "",
			"there is no /dev/null below that directory, and QEMU needs it to let its "
			"images go; make one");
	return 0;
}

int reopen_judge(const struct disks *disks, struct strv *reasons, struct error *err)
{
	const struct command_line *line = &disks->line;
	const char *denied = NULL;
	int ret = line->runas ? find_denied(disks, line->runas, &denied, err) : 0;

	if (ret < 0)
		return ret;
	if ((line->daemonize || line->chroot_dir) && disks->relative)
		ret = reason_add(reasons, line->daemonize ? "-daemonize" : "-chroot", "",
			"QEMU leaves the current directory, and an image's name relates to that; "
			"write the names of images from '/' on");
	else if (line->chroot_dir)
		ret = judge_chroot(disks, reasons);
	if (ret == 0 && denied)
		ret = reason_add(reasons, "-runas", denied,
			" is not writable for that user, and QEMU would open it again; "
			"let him write to it, or take --user");
	return ret < 0 ? error_set(err, ret, "out of memory") : 0;
}
