/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>

#include "launcher/vm/rundir.h"

/* How 'list' and 'status' tell of a VM. */

/* One word: QEMU's run state, "frozen", "unsupervised", "gone", "starting", "unreadable". */
void vm_report_state(const struct vm_entry *vm, char *word, size_t size);

/*
 * state.json's members and "presence"; where there are none, "name", "presence"
 * and "problem". The caller's; NULL: no memory.
 */
json_t *vm_report_json(const struct vm_entry *vm);

/* Several lines for people, on stdout. */
void vm_report_text(const struct vm_entry *vm);
