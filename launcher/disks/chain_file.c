/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/disks/chain_walk.h"
#include "launcher/disks/image_file.h"
#include "launcher/disks/inherited.h"
#include "launcher/disks/magic_link.h"

/* One file of a chain. It is looked at first, and opened only if that does no harm. */

/* A file that the kernel makes up: reading it may do something. */
static bool is_pseudo_file(const char *path, const struct stat *st)
{
	static const long magics[] = { PROC_SUPER_MAGIC, SYSFS_MAGIC, DEBUGFS_MAGIC, TRACEFS_MAGIC,
		SECURITYFS_MAGIC, CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, BPF_FS_MAGIC };
	struct statfs fs;
	size_t i;

	/* such files take no room; most others do, and need no second look */
	if (st->st_blocks > 0 || statfs(path, &fs) < 0)
		return false;
	for (i = 0; i < sizeof(magics) / sizeof(*magics); i++) {
		if (fs.f_type == magics[i])
			return true;
	}
	return false;
}

/* What a lock driver cannot have either is refused here; of devices it has its own say. */
static int file_check_type(struct chain *chain, const struct chain_place *place, const char *path,
	const struct stat *st)
{
	switch (st->st_mode & S_IFMT) {
	case S_IFREG:
		if (is_pseudo_file(path, st))
			return chain_file_refuse(
				chain, place, path, "a file of the kernel's own is no disk");
		return 0;
	case S_IFBLK:
	case S_IFCHR:
		return 0;
	case S_IFDIR:
		return chain_file_refuse(chain, place, path, "a directory is no disk");
	case S_IFIFO:
		return chain_file_refuse(chain, place, path, "a FIFO is no disk");
	case S_IFSOCK:
		return chain_file_refuse(chain, place, path, "a socket is no disk");
	default:
		return chain_file_refuse(chain, place, path, "neither a file nor a block device");
	}
}

/* Keep what the image says of itself and of other files; @found becomes empty. */
static int header_keep(struct disk_image *image, struct image *found)
{
	image->found = found->format;
	image->probed = true;
	if (!*found->backing && !*found->data_file && !found->n_extents)
		return 0;
	image->header = malloc(sizeof(*found));
	if (!image->header)
		return -ENOMEM;
	*image->header = *found;
	*found = (struct image){ 0 };
	return 0;
}

/* Whoever wants to look at its locks next need not open it once more. */
static void keep_open(struct chain *chain, struct disk_image *image, int *fd)
{
	if (chain->keep_open) {
		chain->keep_open--;
		image->fd = take_fd(fd);
	}
}

static int image_probe(struct chain *chain, struct stat *st, const struct chain_place *place,
	struct disk_image *image)
{
	_cleanup_(closep) int fd = -1;
	_cleanup_(image_finish) struct image found = { 0 };
	struct error why = { 0 };
	int code;

	if (S_ISCHR(st->st_mode)) /* to open one may be to use it */
		return 0;
	code = fd = image_file_open(image->path, st, &why);
	if (code >= 0)
		code = image_file_read(fd, st, &found, &why);
	if (code == 0) {
		keep_open(chain, image, &fd);
		return header_keep(image, &found);
	}
	/* a device that we cannot read QEMU cannot read either; what it is weighs more */
	if (S_ISBLK(st->st_mode) && code != -EINVAL && code != -ENOMEM)
		return 0;
	if (code == -ENOMEM)
		return code;
	if (code == -EINVAL)
		return chain_file_refuse(chain, place, image->path, why.text);
	return chain_file_fail(chain, place, image->path, -code, why.text);
}

/* Is there anything in the header that we need? */
static bool wants_header(const struct chain_place *place)
{
	return !place->format || block_driver_names_files(place->format);
}

/* Is one of the images above the same file? */
static bool is_loop(const struct chain_place *place, size_t image)
{
	for (; place; place = place->up) {
		if (place->image == image)
			return true;
	}
	return false;
}

static int set_add(struct chain *chain, const struct disk_image *image, enum resource_mode mode,
	const struct chain_place *place)
{
	struct resource resource = {
		.kind = RESOURCE_DISK,
		.mode = mode,
		.path = image->path,
		.origin = (char *)place->origin,
		.id = image->id,
	};

	if (mode == RESOURCE_READER && !chain->readonly_locks)
		return 0;
	return resource_set_add(&chain->set, &resource, NULL);
}

int chain_path_absolute(struct chain *chain, const char *name, char **ret)
{
	bool relative = *name != '/';
	char *path;

	if (relative && !chain->cwd)
		chain->cwd = getcwd(NULL, 0);
	if (relative && !chain->cwd) {
		error_status(chain->err, 0, errno == ENOENT ? EX_NOINPUT : EX_OSERR);
		error_set(chain->err, 0, "%s: the current directory: %s", name, strerror(errno));
		return -ENOENT;
	}
	if (asprintf(&path, "%s%s%s", relative ? chain->cwd : "", relative ? "/" : "", name) < 0)
		return -ENOMEM;
	*ret = path;
	return 0;
}

/* Which image this file belongs to. */
static size_t parent_find(const struct chain_place *place)
{
	for (; place; place = place->up) {
		if (place->image != CHAIN_NO_IMAGE)
			return place->image;
	}
	return CHAIN_NO_IMAGE;
}

/* The format that QEMU guesses. Of one it is the name alone that tells, as it was given. */
static const char *format_guess(const struct disk_image *image, const char *name)
{
	size_t len = name ? strlen(name) : 0;

	if (image->found == IMAGE_RAW && len > 4 && strcmp(name + len - 4, ".dmg") == 0)
		return "dmg";
	return image_format_name(image->found);
}

/* The image is known: its header, its format, its place in the set. */
static int image_visit(struct chain *chain, struct stat *st, const struct chain_place *place,
	struct disk_image *image)
{
	const char *format = place->format;
	struct chain_mode mode;
	int code;

	if (!image->probed && wants_header(place)) {
		code = image_probe(chain, st, place, image);
		if (code != 0)
			return code;
	}
	if (!format)
		format = format_guess(image, place->guess);
	if (!image->format) {
		image->format = block_driver_find(format) ? block_driver_find(format)->name : "raw";
		image->backing = place->backing;
		image->parent = parent_find(place);
	}
	mode = chain_mode_find(image->path, place, format);
	image->refused |= mode.refused;
	if (!image->why || mode.mode > image->mode) {
		image->mode = mode.mode;
		image->why = mode.why;
	}
	return set_add(chain, image, mode.mode, place);
}

/* Two names of one file are worth a word. */
static int other_name_keep(struct disk_image *image, const char *path)
{
	if (image->other_path || strcmp(image->path, path) == 0)
		return 0;
	image->other_path = strdup(path);
	return image->other_path ? 0 : -ENOMEM;
}

/* What a guest may have written must not name what only one process has. */
static int name_check(struct chain *chain, const struct chain_place *place, const char *path)
{
	char why[128];
	int ret = place->from_header ? magic_link_look(path) : MAGIC_LINK_NONE;

	if (ret == MAGIC_LINK_FOUND)
		return chain_file_refuse(chain, place, path,
			"an image names what is another file in each process (/proc/self, "
			"/dev/fd)");
	if (ret == MAGIC_LINK_NONE || ret == -ENOMEM)
		return ret;
	/* it was there a moment ago: QEMU may find it again */
	snprintf(why, sizeof(why), "it cannot be told where this name leads: %s", strerror(-ret));
	return chain_file_refuse(chain, place, path, why);
}

int chain_visit_path(struct chain *chain, const char *path, const struct chain_place *place,
	struct chain_primary *ret)
{
	struct stat st;
	size_t index;
	int code;

	if (stat(path, &st) < 0) {
		code = chain_file_fail(chain, place, path, errno, strerror(errno));
		return code < 0 ? code : 0;
	}
	code = name_check(chain, place, path);
	if (code == 0)
		code = file_check_type(chain, place, path, &st);
	if (code < 0)
		return code;
	code = disk_images_add(&chain->images,
		&(struct resource_identity){ .dev = st.st_dev, .ino = st.st_ino }, path, &index);
	if (code < 0)
		return code;
	if (is_loop(place, index))
		return chain_file_refuse(chain, place, path, "its backing files lead back to it");
	code = other_name_keep(&chain->images.items[index], path);
	if (code == 0)
		code = image_visit(chain, &st, place, &chain->images.items[index]);
	if (code == 0)
		ret->image = index;
	return code < 0 ? code : 0;
}

int chain_visit_file(struct chain *chain, const char *name, const struct chain_place *place,
	struct chain_primary *ret)
{
	_cleanup_(freep) char *path = NULL;
	_cleanup_(freep) char *own = NULL;
	int code, fd;

	code = chain_path_absolute(chain, name, &path);
	if (code < 0)
		return code;
	chain->relative |= *name != '/';
	/* a number means nothing to others, and nothing to us later on */
	fd = place->from_header ? -1 : inherited_find(path);
	chain->by_descriptor |= fd >= 0;
	if (fd >= 0)
		own = inherited_path(fd);
	code = chain_visit_path(chain, own ? own : path, place, ret);
	if (code == 0 && ret->image != CHAIN_NO_IMAGE)
		ret->path = take_ptr(path);
	return code;
}
