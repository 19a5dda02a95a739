/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <uv.h>

#include "base/str.h"
#include "launcher/vm/notify.h"
#include "launcher/vm/state.h"
#include "launcher/vm/supervisor.h"

/*
 * What the service manager is told of a VM: that it is ready, that it stops, and in
 * words how it is. Each is told once, when it has become true; what could not be
 * delivered because the manager is busy is told a moment later, as it is then. And, if
 * it wants that (WatchdogSec=), that the supervisor is alive.
 */

struct vm;

struct service {
	const struct notify *notify;
	bool ready, stopping; /* has been told */
	char *status;         /* likewise */
	bool complained;
	uv_timer_t again, beat;
};

/* What it depends on. */
struct service_view {
	enum supervisor_state sup;
	bool stay;     /* the guest is to wait: -S, or a 'stop' before it ran */
	bool incoming; /* it waits for a migration */
	const struct vm_state *state;
	const char *refusal; /* of its start; NULL: none */
};

/* The guest runs under its locks, or (-S, -incoming) is ready to. Pure. */
bool service_is_ready(const struct service_view *view);

/* How the VM is, in one line. Pure. */
void service_describe(const struct service_view *view, struct str *out);

/* @notify: borrowed for the VM's life */
void service_start(struct vm *vm, const struct notify *notify);

/* Tell what has become true since the last time. */
void service_tell(struct vm *vm);
