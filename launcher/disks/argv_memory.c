/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/argv_scan.h"
#include "launcher/disks/keyval.h"

/*
 * Files that are mapped into the guest. None of them is a block node, so only the
 * command line tells.
 */

enum memory_use {
	MEMORY_USE_DISK = 1 << 0,
	MEMORY_USE_TOGETHER = 1 << 1,
	MEMORY_USE_RAM = 1 << 2,
};

/* Who uses the memory of that name: memory_use bits. */
static unsigned memory_uses(const struct scan *scan, const char *id)
{
	static const struct {
		const char *driver;
		enum memory_use use;
	} rows[] = {
		{ "ivshmem-plain", MEMORY_USE_TOGETHER },
		{ "nvdimm", MEMORY_USE_DISK },
		{ "virtio-pmem", MEMORY_USE_DISK },
		{ "virtio-pmem-pci", MEMORY_USE_DISK },
	};
	const struct scan_items *devices = &scan->groups[SCAN_DEVICE];
	unsigned uses = 0;
	size_t i, row;

	for (i = 0; i < devices->n; i++) {
		const json_t *options = devices->items[i].options;
		enum memory_use use = MEMORY_USE_RAM;

		if (!id || !str_equal(keyval_text(options, "memdev"), id))
			continue;
		for (row = 0; row < sizeof(rows) / sizeof(*rows); row++) {
			if (str_equal(keyval_text(options, "driver"), rows[row].driver))
				use = rows[row].use;
		}
		uses |= use;
	}
	return uses;
}

static int memory_add(struct command_line *line, const char *path, const char *origin)
{
	struct argv_memory *grown =
		reallocarray(line->memories, line->n_memories + 1, sizeof(*grown));
	struct argv_memory memory = { 0 };

	if (!grown)
		return -ENOMEM;
	line->memories = grown;
	memory.path = strdup(path);
	memory.origin = strdup(origin);
	if (!memory.path || !memory.origin) {
		free(memory.path);
		free(memory.origin);
		return -ENOMEM;
	}
	line->memories[line->n_memories++] = memory;
	return 0;
}

/*
 * A file that is neither written nor a disk is as good as a kernel or a ROM.
 */
static int object_understand(struct scan *scan, const struct scan_item *item)
{
	const char *path = keyval_text(item->options, "mem-path");
	bool writable = keyval_bool(item->options, "share", false) &&
			!keyval_bool(item->options, "readonly", false);
	unsigned uses = memory_uses(scan, keyval_text(item->options, "id"));
	struct argv_memory *memory;

	if (!str_equal(keyval_text(item->options, "qom-type"), "memory-backend-file") || !path)
		return 0;
	if (!writable && !(uses & MEMORY_USE_DISK))
		return 0;
	if (memory_add(scan->line, path, item->origin) < 0)
		return -ENOMEM;
	memory = &scan->line->memories[scan->line->n_memories - 1];
	memory->writable = writable;
	memory->together = uses == MEMORY_USE_TOGETHER;
	scan->line->maps_disk |= writable && (uses & MEMORY_USE_DISK);
	return 0;
}

int scan_finish_memories(struct scan *scan)
{
	size_t i;

	for (i = 0; i < scan->groups[SCAN_OBJECT].n; i++) {
		if (object_understand(scan, &scan->groups[SCAN_OBJECT].items[i]) < 0)
			return -ENOMEM;
	}
	return 0;
}
