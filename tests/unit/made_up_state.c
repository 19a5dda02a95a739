/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "tests/unit/made_up_state.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void made_up_text(char **member, const char *text)
{
	free(*member);
	*member = strdup(text);
	if (!*member)
		abort();
}

static void add_disk(struct vm_state *state, char *path, uint64_t ino)
{
	struct resource disk = {
		.kind = RESOURCE_DISK,
		.mode = RESOURCE_EXCLUSIVE,
		.path = path,
		.origin = "-drive file=x",
		.id = { .dev = UINT64_MAX, .ino = ino },
	};

	if (resource_set_add(&state->resources, &disk, NULL) < 0)
		abort();
}

void made_up_state(const char *name, struct vm_state *ret)
{
	struct vm_state state = {
		.supervisor = { .pid = 11, .start_time = 111 },
		.qemu = { .pid = 12, .start_time = 112 },
		.lock_state = VM_LOCK_HELD,
		.cause = CAUSE_IO_ERROR,
		.cause_since = 1700000000,
		.deactivating = true,
		.deactivated = true,
		.frozen = true,
		.plant_counter = 7,
		.event_seq = 8,
		.started = 1600000000,
		.ended = true,
		.end_status = -9,
		.end_from_qemu = true,
		.end_time = 1800000000,
	};

	snprintf(state.name, sizeof(state.name), "%s", name);
	snprintf(state.instance, sizeof(state.instance), "%s", MADE_UP_INSTANCE);
	if (process_boot_id(state.boot_id) < 0)
		abort();
	made_up_text(&state.binary, "qemu-system-x86_64");
	made_up_text(&state.driver, "file");
	made_up_text(&state.run_state, "io-error");
	made_up_text(&state.cause_detail, "ide0-hd1: No space left on device");
	made_up_text(&state.remedy, "make room, then 'vmlatch resume'");
	made_up_text(&state.held_because, "a block job writes");
	made_up_text(&state.lock_text, "file 1\nline \"two\"\n");
	made_up_text(&state.qmp_path, "/run/vmlatch/web1/qmp.sock");
	if (strv_add(&state.pinned, "-monitor stdio") < 0 || strv_add(&state.pinned, "gdb") < 0)
		abort();
	add_disk(&state, "/srv/a.qcow2", 5);
	add_disk(&state, "/srv/\xff\xfe odd \xc3\xbc\n.img", UINT64_MAX);
	*ret = state;
}
