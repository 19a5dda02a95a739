/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "launcher/vm/block_nodes.h"

/* QEMU's own locks: single bytes at 100 + permission and 200 + permission. */
#define QEMU_LOCK_FIRST 100
#define QEMU_LOCK_LAST  299

/* And ours, whichever of them a life line has. */
#define OUR_LOCK_LAST 6

#define USUAL_IMAGES 32

void open_images_free(struct open_image *images, size_t n)
{
	size_t i;

	for (i = 0; i < n; i++)
		free(images[i].path);
	free(images);
}

/* "flags: 02100002" and "lock: 1: OFDLCK ADVISORY READ -1 fe:00:123 100 101" */
static int read_fdinfo(int info_dir, const char *name, struct open_image *image)
{
	_cleanup_(freep) char *text = NULL;
	char *line, *rest;
	unsigned flags = 0;
	int ret;

	ret = file_read_at(info_dir, name, 0, 1 << 20, &text, NULL);
	if (ret < 0)
		return ret;
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		uint64_t first;

		if (sscanf(line, "flags: %o", &flags) == 1)
			continue;
		if (sscanf(line, "lock: %*d: OFDLCK %*s %*s %*d %*s %" SCNu64, &first) != 1)
			continue;
		image->image_locked |= first >= QEMU_LOCK_FIRST && first <= QEMU_LOCK_LAST;
		image->life_line |= first <= OUR_LOCK_LAST;
	}
	image->writable = (flags & O_ACCMODE) != O_RDONLY;
	image->write_only = (flags & O_ACCMODE) == O_WRONLY;
	image->close_on_exec = flags & O_CLOEXEC;
	return 0;
}

/* 0: @ret is an image; 1: it is something else, or gone meanwhile; -errno. */
static int read_one(int fd_dir, int info_dir, const char *name, struct open_image *ret)
{
	struct open_image image = { 0 };
	char path[PATH_MAX];
	struct stat info;
	ssize_t len;
	int code;

	if (fstatat(fd_dir, name, &info, 0) < 0)
		return errno == ENOENT ? 1 : -errno;
	if (!S_ISREG(info.st_mode) && !S_ISBLK(info.st_mode))
		return 1;
	len = readlinkat(fd_dir, name, path, sizeof(path) - 1);
	if (len < 0 && errno == ENAMETOOLONG)
		len = 0; /* its identity tells */
	code = len < 0 ? -errno : read_fdinfo(info_dir, name, &image);
	if (code < 0) /* that we cannot look at it makes it no less of an image */
		return code == -ENOENT || code == -ESRCH ? 1 : code;
	path[len] = '\0';
	image.id = resource_identity_of(&info);
	image.number = atoi(name);
	image.unlinked = info.st_nlink == 0;
	image.path = strdup(path);
	if (!image.path)
		return -ENOMEM;
	*ret = image;
	return 0;
}

static DIR *open_proc_dir(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
	return opendir(path);
}

#define OTHERS_NEED_PTRACE " (of another user's process only who has CAP_SYS_PTRACE may)"

int open_images_read(pid_t pid, struct open_image **ret, size_t *n, struct error *err)
{
	_cleanup_(closedirp) DIR *fds = open_proc_dir(pid, "fd");
	_cleanup_(closedirp) DIR *infos = open_proc_dir(pid, "fdinfo");
	size_t used = 0, size = USUAL_IMAGES;
	struct open_image *images, *grown;
	struct dirent *entry;
	int code = 0;

	if (!fds || !infos)
		return error_set(err, -errno, "look at QEMU's descriptors (pid %d): %s%s", pid,
			strerror(errno),
			errno == EACCES || errno == EPERM ? OTHERS_NEED_PTRACE : "");
	images = calloc(size, sizeof(*images));
	if (!images)
		return error_set(err, -ENOMEM, "out of memory");
	while (code >= 0 && (entry = readdir(fds))) {
		if (entry->d_name[0] == '.')
			continue;
		if (used == size) {
			size *= 2;
			grown = reallocarray(images, size, sizeof(*grown));
			if (!grown) {
				code = -ENOMEM;
				break;
			}
			images = grown;
		}
		code = read_one(dirfd(fds), dirfd(infos), entry->d_name, &images[used]);
		if (code == 0)
			used++;
	}
	if (code < 0) {
		open_images_free(images, used);
		return error_set(
			err, code, "look at QEMU's descriptors (pid %d): %s", pid, strerror(-code));
	}
	*ret = images;
	*n = used;
	return 0;
}
