/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/magic_link.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/magic.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/cleanup.h"

#define LINKS_MAX   40 /* as many as the kernel follows */
#define PROCFS_ROOT 1  /* inode of the root of every procfs (kernel, PROC_ROOT_INO) */

/* How far a path has been looked up. */
struct walk {
	int at;
	char *text; /* what is left of the path is a part of it */
	char *left;
	unsigned links;
};

static void walk_finish(struct walk *walk)
{
	closep(&walk->at);
	free(walk->text);
}

/* From where that text begins. */
static int walk_start(struct walk *walk, const char *text)
{
	closep(&walk->at);
	walk->at = open(*text == '/' ? "/" : ".", O_PATH | O_DIRECTORY | O_CLOEXEC);
	return walk->at < 0 ? -errno : 0;
}

/* Go on with that text, which becomes the walk's. */
static void walk_read_on(struct walk *walk, char *text)
{
	free(walk->text);
	walk->text = walk->left = text;
}

/*
 * Links of procfs below its root, and those of securityfs (AppArmor's "policy"), may be
 * magic. Of a link that is bound to another place the directory is no procfs.
 */
static int link_is_magic(int directory, int link)
{
	struct statfs of_link, of_directory;
	struct stat info;

	if (fstatfs(link, &of_link) < 0)
		return -errno;
	if (of_link.f_type == SECURITYFS_MAGIC)
		return MAGIC_LINK_FOUND;
	if (of_link.f_type != PROC_SUPER_MAGIC)
		return MAGIC_LINK_NONE;
	if (fstatfs(directory, &of_directory) < 0 || fstat(directory, &info) < 0)
		return -errno;
	if (of_directory.f_type == PROC_SUPER_MAGIC && info.st_ino == PROCFS_ROOT)
		return MAGIC_LINK_NONE;
	return MAGIC_LINK_FOUND;
}

static int walk_follow(struct walk *walk, int link)
{
	char target[PATH_MAX], *text;
	int ret = link_is_magic(walk->at, link);
	ssize_t len;

	if (ret != 0)
		return ret;
	if (++walk->links > LINKS_MAX)
		return -ELOOP;
	len = readlinkat(link, "", target, sizeof(target));
	if (len < 0)
		return -errno;
	if (len == 0 || len == sizeof(target))
		return len ? -ENAMETOOLONG : -ENOENT;
	if (asprintf(&text, "%.*s/%s", (int)len, target, walk->left ? walk->left : "") < 0)
		return -ENOMEM;
	walk_read_on(walk, text);
	return *target == '/' ? walk_start(walk, target) : 0;
}

static int walk_step(struct walk *walk, const char *name)
{
	_cleanup_(closep) int fd = openat(walk->at, name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	struct stat info;

	if (fd < 0 || fstat(fd, &info) < 0)
		return -errno;
	if (S_ISLNK(info.st_mode))
		return walk_follow(walk, fd);
	close(walk->at);
	walk->at = take_fd(&fd);
	return 0;
}

int magic_link_look_by_hand(const char *path)
{
	_cleanup_(walk_finish) struct walk walk = { .at = -1 };
	int ret = walk_start(&walk, path);
	const char *name;

	walk_read_on(&walk, strdup(path));
	if (!walk.text)
		return -ENOMEM;
	while (ret == 0 && (name = strsep(&walk.left, "/"))) {
		if (*name)
			ret = walk_step(&walk, name);
	}
	return ret;
}

int magic_link_look(const char *path)
{
	struct open_how how = {
		.flags = O_PATH | O_CLOEXEC,
		.resolve = RESOLVE_NO_MAGICLINKS,
	};
	long fd = syscall(SYS_openat2, AT_FDCWD, path, &how, sizeof(how));

	if (fd >= 0) {
		close((int)fd);
		return MAGIC_LINK_NONE;
	}
	/* links without end have the same errno; they lead nowhere either */
	if (errno == ELOOP)
		return MAGIC_LINK_FOUND;
	/*
	 * ENOSYS (before Linux 5.6, and by systemd's RestrictSUIDSGID=) and EPERM (filters
	 * of containers) say nothing of the path; what else fails does so once more.
	 */
	return magic_link_look_by_hand(path);
}
