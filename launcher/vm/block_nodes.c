/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/block_nodes.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "launcher/vm/qemu_name.h"

static bool is_one_of(const char *word, const char *const words[])
{
	for (; *words; words++) {
		if (strcmp(word, *words) == 0)
			return true;
	}
	return false;
}

/* Drivers that keep nothing in memory that they would write back later. */
static const char *const plain_drivers[] = { "raw", "file", "host_device", "host_cdrom", "null-co",
	"null-aio", "throttle", "copy-on-read", "blkdebug", "blkverify", "blklogwrites",
	"blkreplay", "copy-before-write", "nbd", "rbd", "iscsi", "ssh", "http", "https", "ftp",
	"ftps", "nfs", "gluster", "nvme", "snapshot-access", "mirror_top", "commit_top", NULL };

bool block_nodes_is_file(json_t *node)
{
	/* drivers that have a file or a device of this host open; io_uring is libblkio's */
	static const char *const drivers[] = { "file", "host_device", "host_cdrom", "io_uring",
		NULL };
	const char *driver = json_string_value(json_object_get(node, "drv"));

	return driver && is_one_of(driver, drivers);
}

const char *block_nodes_with_metadata(json_t *nodes)
{
	const char *driver;
	json_t *node;
	size_t i;

	json_array_foreach (nodes, i, node) {
		driver = json_string_value(json_object_get(node, "drv"));
		if (driver && !json_is_true(json_object_get(node, "ro")) &&
			!is_one_of(driver, plain_drivers))
			return driver;
	}
	return NULL;
}

/* Are QEMU's own image locks on one of its descriptors of this file? */
static bool qemu_has_locked(pid_t pid, const struct resource_identity *id)
{
	struct open_image *images;
	bool found = false;
	size_t n, i;

	if (open_images_read(pid, &images, &n, NULL) < 0)
		return true; /* who cannot look must not let go */
	for (i = 0; i < n; i++)
		found |= images[i].image_locked && resource_identity_equal(&images[i].id, id);
	open_images_free(images, n);
	return found;
}

const char *block_nodes_using(json_t *nodes, pid_t pid, const struct resource *image)
{
	const char *name, *node_name;
	struct stat info;
	json_t *node;
	size_t i;

	json_array_foreach (nodes, i, node) {
		name = json_string_value(json_object_get(node, "file"));
		node_name = json_string_value(json_object_get(node, "node-name"));
		if (!name)
			continue;
		if (strcmp(name, image->path) == 0 ||
			(qemu_name_stat(pid, name, &info) == 0 &&
				resource_identity_is(&image->id, &info)))
			return node_name ? node_name : name;
	}
	return qemu_has_locked(pid, &image->id) ? "without a name" : NULL;
}

static bool is_locked_name(const struct resource_set *locked, const char *name)
{
	size_t i;

	for (i = 0; i < locked->n; i++) {
		if (locked->items[i].mode != RESOURCE_READER &&
			strcmp(locked->items[i].path, name) == 0)
			return true;
	}
	return false;
}

/*
 * Does a name of QEMU's lead elsewhere by now? One that leads nowhere is one of
 * ours, or a temporary file's, which is not opened again. 1, 0 or -errno.
 */
static int name_has_moved(const char *name, pid_t pid, const struct resource_set *locked)
{
	struct resource there = { .kind = RESOURCE_DISK, .path = (char *)name };
	const struct resource *member;
	struct stat info;

	if (qemu_name_stat(pid, name, &info) < 0) {
		if (errno == EACCES || errno == EPERM)
			return -errno;
		if (!is_locked_name(locked, name))
			return 0;
		return errno == ENOENT || errno == ENOTDIR ? 1 : -errno;
	}
	there.id = resource_identity_of(&info);
	member = resource_set_find(locked, &there);
	return !member || member->mode == RESOURCE_READER;
}

const char *block_nodes_moved(
	json_t *nodes, pid_t pid, const struct resource_set *locked, char *text, size_t size)
{
	const char *name;
	json_t *node;
	size_t i;
	int moved;

	json_array_foreach (nodes, i, node) {
		name = json_string_value(json_object_get(node, "file"));
		if (!name || !block_nodes_is_file(node) ||
			json_is_true(json_object_get(node, "ro")))
			continue;
		moved = name_has_moved(name, pid, locked);
		if (moved == 0)
			continue;
		if (moved < 0)
			snprintf(text, size,
				"what QEMU's name %s leads to cannot be looked at (%s)%s", name,
				strerror(-moved),
				moved == -EACCES || moved == -EPERM
					? ": another user's QEMU can be looked at with "
					  "CAP_SYS_PTRACE only"
					: "");
		else
			snprintf(text, size,
				"%s is not the file that is locked any more (it was renamed or "
				"replaced), and QEMU would open it again by its name: put the file "
				"back",
				name);
		return text;
	}
	return NULL;
}
