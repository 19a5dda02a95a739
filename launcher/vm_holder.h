/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stddef.h>

#include "launcher/vm/rundir.h"
#include "locking/lock_driver.h"

const char *vm_holder_source_name(enum lock_holder_source source);

/*
 * The VM among @vms whose state file names this disk: one that holds it before
 * one that has given its locks back. NULL: none.
 */
const struct vm_entry *vm_holder_find(
	const struct vm_entry *vms, size_t n, const struct resource_identity *id);

bool vm_holder_holds(const struct vm_entry *vm);

/* {source, vm, host, process, pid, since}, as far as they are known; NULL: no memory. */
json_t *vm_holder_to_json(const struct lock_holder *holder);

/*
 * Put @vm (may be NULL) down as the holder, if it says that it holds the disk and
 * the record beside the lock has not named one.
 */
bool vm_holder_name(const struct vm_entry *vm, struct lock_holder *holder);
