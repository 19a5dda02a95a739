/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>

#include "launcher/vm/vm.h"

/*
 * QEMU's monitor, ours alone: its events become events of the table. Where the
 * connection breaks while QEMU lives, it is made again; but what was said in
 * between is not known, so from then on the VM is pinned.
 */

/* Connect; QEMU answers when it gets there. 0 or -errno with a sentence. */
int monitor_connect(struct vm *vm, struct error *err);

/* Talk over a @connection that stands; it is taken over. 0 or -errno with a sentence. */
int monitor_use(struct vm *vm, int connection, struct error *err);

/* The connection has gone, and QEMU has not, as it seems: connect again in a while. */
void monitor_retry(struct vm *vm);

/*
 * Ask QEMU. Without a connection @fn is called at once with -ENOTCONN.
 *
 * @arguments	stolen; NULL: none
 * @fd		sent along, stays the caller's; -1: none
 */
struct monitor_call {
	const char *command;
	json_t *arguments;
	int fd;
	qmp_reply_fn fn;
	void *data;
};
void monitor_call(struct vm *vm, const struct monitor_call *call);

/* Ask QEMU whether the guest runs, and post what differs from what we think. */
void monitor_resync(struct vm *vm);
