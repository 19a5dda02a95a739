/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm_holder.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launcher/json_text.h"

const char *vm_holder_source_name(enum lock_holder_source source)
{
	static const char *const names[] = {
		[LOCK_HOLDER_UNKNOWN] = "unknown",
		[LOCK_HOLDER_RECORD] = "record",
		[LOCK_HOLDER_STATE] = "state",
		[LOCK_HOLDER_KERNEL] = "kernel",
	};

	return names[source];
}

bool vm_holder_holds(const struct vm_entry *vm)
{
	enum vm_lock_state state = vm->state.lock_state;

	return vm->presence != VM_GONE && state != VM_LOCK_REGISTERED &&
	       state != VM_LOCK_RELEASED && state != VM_LOCK_NONE;
}

const struct vm_entry *vm_holder_find(
	const struct vm_entry *vms, size_t n, const struct resource_identity *id)
{
	/* a path that no disk has: the state may have disks of which no identity is known */
	const struct resource like = { .kind = RESOURCE_DISK, .id = *id, .path = "" };
	const struct vm_entry *found = NULL;
	size_t i;

	for (i = 0; i < n; i++) {
		if (vms[i].presence == VM_GONE || !vms[i].readable)
			continue;
		if (!resource_set_find(&vms[i].state.resources, &like))
			continue;
		if (vm_holder_holds(&vms[i]))
			return &vms[i];
		found = found ? found : &vms[i];
	}
	return found;
}

bool vm_holder_name(const struct vm_entry *vm, struct lock_holder *holder)
{
	if (holder->source == LOCK_HOLDER_RECORD || !vm || !vm_holder_holds(vm))
		return false;
	*holder = (struct lock_holder){
		.source = LOCK_HOLDER_STATE,
		.pid = vm->state.qemu.pid,
		.since = vm->state.started,
	};
	snprintf(holder->vm, sizeof(holder->vm), "%s", vm->name);
	gethostname(holder->host, sizeof(holder->host) - 1);
	return true;
}

json_t *vm_holder_to_json(const struct lock_holder *holder)
{
	json_auto_t *object = json_pack("{s:s}", "source", vm_holder_source_name(holder->source));

	if (!object || json_text_set(object, "vm", holder->vm[0] ? holder->vm : NULL) < 0 ||
		json_text_set(object, "host", holder->host[0] ? holder->host : NULL) < 0)
		return NULL;
	if (json_text_set(object, "process", holder->process[0] ? holder->process : NULL) < 0)
		return NULL;
	if (holder->pid)
		json_object_set_new(object, "pid", json_integer(holder->pid));
	if (holder->since)
		json_object_set_new(object, "since", json_integer(holder->since));
	return json_incref(object);
}
