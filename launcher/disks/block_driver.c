/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/disks/block_driver.h"

#include <string.h>

#include "base/str.h"

static const struct block_driver drivers[] = {
	{ "file", BLOCK_FILE },
	{ "host_device", BLOCK_FILE },
	{ "host_cdrom", BLOCK_FILE },
	{ "io_uring", BLOCK_FILE },

	{ "raw", BLOCK_FORMAT },
	{ "qcow2", BLOCK_FORMAT, .names_files = true },
	{ "qcow", BLOCK_FORMAT, .names_files = true },
	{ "qed", BLOCK_FORMAT, .names_files = true },
	{ "vmdk", BLOCK_FORMAT, .names_files = true },
	{ "vdi", BLOCK_FORMAT },
	{ "vhdx", BLOCK_FORMAT },
	{ "vpc", BLOCK_FORMAT },
	{ "luks", BLOCK_FORMAT },
	{ "parallels", BLOCK_FORMAT },
	{ "bochs", BLOCK_FORMAT, .only_reads = true },
	{ "cloop", BLOCK_FORMAT, .only_reads = true },
	{ "dmg", BLOCK_FORMAT, .only_reads = true },

	{ "blkdebug", BLOCK_FILTER, .is_protocol = true },
	{ "blklogwrites", BLOCK_FILTER },
	{ "blkreplay", BLOCK_FILTER },
	{ "blkverify", BLOCK_FILTER, .is_protocol = true },
	{ "compress", BLOCK_FILTER },
	{ "copy-before-write", BLOCK_FILTER },
	{ "copy-on-read", BLOCK_FILTER },
	{ "preallocate", BLOCK_FILTER },
	{ "quorum", BLOCK_FILTER },
	{ "replication", BLOCK_FILTER },
	{ "snapshot-access", BLOCK_FILTER },
	{ "throttle", BLOCK_FILTER },

	{ "ftp", BLOCK_NETWORK },
	{ "ftps", BLOCK_NETWORK },
	{ "gluster", BLOCK_NETWORK },
	{ "http", BLOCK_NETWORK },
	{ "https", BLOCK_NETWORK },
	{ "iscsi", BLOCK_NETWORK },
	{ "nbd", BLOCK_NETWORK },
	{ "nfs", BLOCK_NETWORK },
	{ "rbd", BLOCK_NETWORK },
	{ "sheepdog", BLOCK_NETWORK },
	{ "ssh", BLOCK_NETWORK },
	{ "vxhs", BLOCK_NETWORK },

	{ "nvme", BLOCK_UNLOCKABLE },
	{ "nvme-io_uring", BLOCK_UNLOCKABLE },
	{ "virtio-blk-vfio-pci", BLOCK_UNLOCKABLE },
	{ "virtio-blk-vhost-user", BLOCK_UNLOCKABLE },
	{ "virtio-blk-vhost-vdpa", BLOCK_UNLOCKABLE },
	{ "vvfat", BLOCK_UNLOCKABLE },

	{ "null-aio", BLOCK_NOTHING },
	{ "null-co", BLOCK_NOTHING },
};

/* Prefixes that are not their driver's name. */
static const struct {
	const char *prefix;
	const char *driver;
} prefixes[] = {
	{ "fat", "vvfat" },
	{ "gluster+rdma", "gluster" },
	{ "gluster+tcp", "gluster" },
	{ "gluster+unix", "gluster" },
	{ "iser", "iscsi" },
	{ "nbd+tcp", "nbd" },
	{ "nbd+unix", "nbd" },
	{ "sheepdog+tcp", "sheepdog" },
	{ "sheepdog+unix", "sheepdog" },
};

/* A format has no prefix of its own: "qcow2:x" is an error in QEMU. */
static const char *const filters_with_prefix[] = { "blkdebug", "blkverify" };

const struct block_driver *block_driver_find(const char *name)
{
	size_t i;

	for (i = 0; i < sizeof(drivers) / sizeof(*drivers); i++) {
		if (str_equal(drivers[i].name, name))
			return &drivers[i];
	}
	return NULL;
}

bool block_driver_only_reads(const char *name)
{
	const struct block_driver *driver = block_driver_find(name);

	return driver && driver->only_reads;
}

bool block_driver_names_files(const char *name)
{
	const struct block_driver *driver = block_driver_find(name);

	return driver && driver->names_files;
}

static bool prefix_is(const char *filename, size_t len, const char *prefix)
{
	return strlen(prefix) == len && memcmp(filename, prefix, len) == 0;
}

static const char *driver_from_prefix(const char *filename, size_t len)
{
	size_t i;

	for (i = 0; i < sizeof(prefixes) / sizeof(*prefixes); i++) {
		if (prefix_is(filename, len, prefixes[i].prefix))
			return prefixes[i].driver;
	}
	for (i = 0; i < sizeof(filters_with_prefix) / sizeof(*filters_with_prefix); i++) {
		if (prefix_is(filename, len, filters_with_prefix[i]))
			return filters_with_prefix[i];
	}
	for (i = 0; i < sizeof(drivers) / sizeof(*drivers); i++) {
		if (drivers[i].kind == BLOCK_FORMAT || drivers[i].kind == BLOCK_FILTER)
			continue;
		if (prefix_is(filename, len, drivers[i].name))
			return drivers[i].name;
	}
	return NULL;
}

const char *block_driver_from_filename(const char *filename, const char **ret_rest)
{
	size_t len = strcspn(filename, ":/");

	*ret_rest = filename;
	if (filename[len] != ':')
		return "file";
	*ret_rest = filename + len + 1;
	return driver_from_prefix(filename, len);
}

const struct block_child block_children[] = {
	{ "file", BLOCK_PROBE_NEVER, BLOCK_PROBE_ABOVE },
	{ "data-file", BLOCK_PROBE_NEVER, BLOCK_PROBE_NEVER },
	{ "header", BLOCK_PROBE_NEVER, BLOCK_PROBE_NEVER }, /* luks, from QEMU 9.0 */
	{ "image", BLOCK_PROBE_NEVER, BLOCK_PROBE_AS_PARENT },
	{ "raw", BLOCK_PROBE_NEVER, BLOCK_PROBE_AS_PARENT },
	{ "test", BLOCK_PROBE_NEVER, BLOCK_PROBE_ALWAYS },
	{ "log", BLOCK_PROBE_NEVER, BLOCK_PROBE_NEVER },
	{ "target", BLOCK_PROBE_NEVER, BLOCK_PROBE_ALWAYS },
	{ "children", BLOCK_PROBE_NEVER, BLOCK_PROBE_ALWAYS, .array = true },
};
const size_t block_children_n = sizeof(block_children) / sizeof(*block_children);

bool block_child_is_key(const char *key)
{
	size_t i;

	for (i = 0; i < block_children_n; i++) {
		/* one look at the first byte answers nearly all */
		if (*block_children[i].key == *key && strcmp(block_children[i].key, key) == 0)
			return true;
	}
	return false;
}
