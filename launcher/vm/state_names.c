/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <string.h>

#include "launcher/vm/state.h"

#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const char *const lock_states[] = {
	[VM_LOCK_REGISTERED] = "registered",
	[VM_LOCK_HELD] = "held",
	[VM_LOCK_RELEASING] = "releasing",
	[VM_LOCK_RELEASED] = "released",
	[VM_LOCK_ACQUIRING] = "acquiring",
	[VM_LOCK_LOST] = "lost",
	[VM_LOCK_NONE] = "none",
};

static const char *const causes[] = {
	[CAUSE_NONE] = "none",
	[CAUSE_STARTING] = "starting",
	[CAUSE_USER] = "user",
	[CAUSE_WATCHDOG] = "watchdog",
	[CAUSE_IO_ERROR] = "io-error",
	[CAUSE_LOCK_LOST] = "lock-lost",
	[CAUSE_LOCK_BUSY] = "lock-busy",
	[CAUSE_STALE] = "stale",
	[CAUSE_MIGRATION] = "migration",
	[CAUSE_GUEST_PANIC] = "guest-panic",
	[CAUSE_SHUTDOWN] = "shutdown",
	[CAUSE_UNKNOWN] = "unknown",
};

static int find(const char *const *names, size_t n, const char *name)
{
	size_t i;

	for (i = 0; i < n; i++) {
		if (strcmp(names[i], name) == 0)
			return i;
	}
	return -1;
}

const char *vm_lock_state_name(enum vm_lock_state state)
{
	return lock_states[state];
}

int vm_lock_state_from_name(const char *name)
{
	return find(lock_states, COUNT(lock_states), name);
}

const char *vm_cause_name(enum vm_cause cause)
{
	return causes[cause];
}

int vm_cause_from_name(const char *name)
{
	return find(causes, COUNT(causes), name);
}
