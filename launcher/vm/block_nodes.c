/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/block_nodes.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

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

/* Drivers that have a file or a device of this host open. */
static const char *const file_drivers[] = { "file", "host_device", "host_cdrom", NULL };

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

/* QEMU's name of a file, as QEMU would resolve it. */
static int stat_as_qemu(pid_t pid, const char *name, struct stat *info)
{
	char path[PATH_MAX + 64];

	snprintf(path, sizeof(path), "/proc/%d/%s/%s", pid, name[0] == '/' ? "root" : "cwd", name);
	return stat(path, info);
}

/* The same for a name that it was started with. */
static int stat_as_started(
	const struct block_nodes_query *query, const char *name, struct stat *info)
{
	char path[2 * PATH_MAX];

	if (name[0] == '/' || !query->directory)
		return stat_as_qemu(query->pid, name, info);
	snprintf(path, sizeof(path), "%s/%s", query->directory, name);
	return stat(path, info);
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
			(stat_as_qemu(pid, name, &info) == 0 &&
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

	if (stat_as_qemu(pid, name, &info) < 0) {
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
	const char *name, *driver;
	json_t *node;
	size_t i;
	int moved;

	json_array_foreach (nodes, i, node) {
		name = json_string_value(json_object_get(node, "file"));
		driver = json_string_value(json_object_get(node, "drv"));
		if (!name || !driver || !is_one_of(driver, file_drivers) ||
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

static const struct open_image *find_by_id(
	const struct open_image *images, size_t n, const struct stat *info)
{
	const struct open_image *found = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		if (!resource_identity_is(&images[i].id, info))
			continue;
		/* of several descriptors the one that can write counts */
		if (!found || images[i].writable)
			found = &images[i];
	}
	return found;
}

static const struct open_image *find_by_name(
	const struct open_image *images, size_t n, const char *name)
{
	size_t i, len = strlen(name);

	for (i = 0; images && i < n; i++) {
		if (strncmp(images[i].path, name, len) == 0 &&
			(images[i].path[len] == '\0' ||
				strcmp(images[i].path + len, " (deleted)") == 0))
			return &images[i];
	}
	return NULL;
}

/* Is this image locked as strongly as it is used? Else it goes into @missing. */
static int check_image(const struct block_nodes_query *query, const struct open_image *image,
	const char *origin, struct resource_set *missing)
{
	struct resource wanted = {
		.kind = RESOURCE_DISK,
		.mode = image->writable ? RESOURCE_EXCLUSIVE : RESOURCE_READER,
		.path = image->path,
		.origin = (char *)origin,
		.id = image->id,
	};
	const struct resource *locked = resource_set_find(query->locked, &wanted);

	if (image->unlinked)
		return 0;
	if (wanted.mode == RESOURCE_READER && (locked || !query->readers))
		return 0;
	if (locked && locked->mode != RESOURCE_READER)
		return 0;
	return resource_set_add(missing, &wanted, NULL);
}

static int check_node(const struct block_nodes_query *query, json_t *node,
	const struct open_image *images, size_t n, struct resource_set *missing,
	struct strv *problems)
{
	const char *name = json_string_value(json_object_get(node, "file"));
	const char *node_name = json_string_value(json_object_get(node, "node-name"));
	const struct open_image *image = NULL;
	char text[PATH_MAX + 128];
	struct stat info;

	if (!name)
		return 0;
	if (stat_as_started(query, name, &info) == 0)
		image = find_by_id(images, n, &info);
	if (!image && stat_as_qemu(query->pid, name, &info) == 0)
		image = find_by_id(images, n, &info);
	if (!image)
		image = find_by_name(images, n, name);
	if (!image) {
		snprintf(text, sizeof(text),
			"the file %s of QEMU's block node '%s' is not among its descriptors", name,
			node_name ? node_name : "?");
		return strv_add(problems, text);
	}
	snprintf(text, sizeof(text), "QEMU's block node '%s'", node_name ? node_name : "?");
	return check_image(query, image, text, missing);
}

int block_nodes_missing(const struct block_nodes_query *query, struct resource_set *ret,
	struct strv *problems, struct error *err)
{
	struct open_image *images;
	const char *driver;
	size_t n, i;
	json_t *node;
	int code;

	code = open_images_read(query->pid, &images, &n, err);
	if (code < 0)
		return code;
	json_array_foreach (query->nodes, i, node) {
		driver = json_string_value(json_object_get(node, "drv"));
		if (code == 0 && driver && is_one_of(driver, file_drivers))
			code = check_node(query, node, images, n, ret, problems);
	}
	/* a block node that the graph has not named gives itself away by its image locks */
	for (i = 0; code == 0 && i < n; i++) {
		if (images[i].image_locked)
			code = check_image(query, &images[i], "QEMU's descriptors", ret);
	}
	open_images_free(images, n);
	return code < 0 ? error_set(err, code, "compare QEMU's block graph: %s", strerror(-code))
			: 0;
}
