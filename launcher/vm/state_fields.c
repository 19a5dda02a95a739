/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/state_fields.h"

#include "launcher/vm/state.h"

#define MEMBER(member) offsetof(struct vm_state, member)

const struct field state_fields[] = {
	{ "name", MEMBER(name), FIELD_NAME, true },
	{ "instance", MEMBER(instance), FIELD_UUID, true },
	{ "boot-id", MEMBER(boot_id), FIELD_UUID, true },
	{ "supervisor", MEMBER(supervisor), FIELD_PROCESS, true },
	{ "qemu", MEMBER(qemu), FIELD_PROCESS, true },
	{ "binary", MEMBER(binary), FIELD_TEXT },
	{ "driver", MEMBER(driver), FIELD_TEXT, true },
	{ "run-state", MEMBER(run_state), FIELD_TEXT, true },
	{ "lock-state", MEMBER(lock_state), FIELD_LOCK_STATE, true },
	{ "cause", MEMBER(cause), FIELD_CAUSE, true },
	{ "cause-since", MEMBER(cause_since), FIELD_TIME },
	{ "cause-detail", MEMBER(cause_detail), FIELD_TEXT },
	{ "remedy", MEMBER(remedy), FIELD_TEXT },
	{ "held-because", MEMBER(held_because), FIELD_TEXT },
	{ "deactivating", MEMBER(deactivating), FIELD_SWITCH },
	{ "deactivated", MEMBER(deactivated), FIELD_SWITCH },
	{ "frozen", MEMBER(frozen), FIELD_SWITCH },
	{ "pinned", MEMBER(pinned), FIELD_LIST },
	{ "resources", MEMBER(resources), FIELD_RESOURCES },
	{ "lock-text", MEMBER(lock_text), FIELD_TEXT },
	{ "plant-counter", MEMBER(plant_counter), FIELD_COUNT },
	{ "event-seq", MEMBER(event_seq), FIELD_COUNT },
	{ "qmp-path", MEMBER(qmp_path), FIELD_TEXT },
	{ "started", MEMBER(started), FIELD_TIME },
	{ "ended", MEMBER(ended), FIELD_SWITCH },
	{ "end-status", MEMBER(end_status), FIELD_STATUS },
	{ "end-from-qemu", MEMBER(end_from_qemu), FIELD_SWITCH },
	{ "end-time", MEMBER(end_time), FIELD_TIME },
};

const size_t state_n_fields = sizeof(state_fields) / sizeof(state_fields[0]);
