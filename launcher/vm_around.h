/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>

#include "launcher/vm/rundir.h"
#include "locking/lock_driver.h"

/*
 * The VMs of this host: those that a look at a lock may not name. They are looked
 * for when they are needed first. All zeroes is ready.
 */
struct vm_around {
	bool once; /* there is one disk to ask about: its users are enough */
	bool known;
	struct vm_entry *vms;
	size_t n;
};
void vm_around_finish(struct vm_around *around);

/* The one that uses this disk. NULL: none, or the record beside the lock has named it already. */
const struct vm_entry *vm_around_find(struct vm_around *around, const struct lock_view *view);

/*
 * Name who holds what is held, as far as it is to be known: the record beside the
 * lock has been believed or not by the look; after it come the state files of this
 * host, and last a search through all processes.
 *
 * @vm	what vm_around_find() has found
 */
void vm_around_name_holder(struct lock_view *view, const struct vm_entry *vm);
