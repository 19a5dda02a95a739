/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <sys/stat.h>

#include "base/cleanup.h"
#include "launcher/disks/chain_walk.h"

/* Files that are mapped into the guest: no block nodes, but written all the same. */

static enum resource_mode memory_mode(const struct argv_memory *memory)
{
	if (!memory->writable)
		return RESOURCE_READER;
	return memory->together ? RESOURCE_SHARED : RESOURCE_EXCLUSIVE;
}

static int memory_visit(struct chain *chain, const struct argv_memory *memory)
{
	_cleanup_(freep) char *path = NULL;
	struct resource resource = {
		.kind = RESOURCE_DISK,
		.mode = memory_mode(memory),
		.origin = memory->origin,
	};
	struct stat st;
	int code = chain_path_absolute(chain, memory->path, &path);

	if (code < 0)
		return code;
	resource.path = path;
	/* QEMU makes what is not there, and a file without a name in a directory */
	if (stat(path, &st) < 0 || S_ISDIR(st.st_mode))
		return 0;
	if (!S_ISREG(st.st_mode) && !S_ISBLK(st.st_mode))
		return disks_notes_add(&chain->notes, DISKS_NOTE_UNLOCKABLE,
			"%s: a device of its own kind cannot be locked", memory->origin);
	if (resource.mode == RESOURCE_READER && !chain->readonly_locks)
		return 0;
	resource.id = (struct resource_identity){ .dev = st.st_dev, .ino = st.st_ino };
	return resource_set_add(&chain->set, &resource, NULL);
}

int chain_visit_memories(struct chain *chain)
{
	int code = 0;
	size_t i;

	for (i = 0; i < chain->line->n_memories && code == 0; i++)
		code = memory_visit(chain, &chain->line->memories[i]);
	return code;
}
