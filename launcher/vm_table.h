/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <stdio.h>

#include "launcher/vm/rundir.h"

/* What 'list' prints: a line for each VM, in columns. All zeroes is empty. */
struct vm_row;

struct vm_table {
	struct vm_row *rows;
	size_t n;
};

void vm_table_finish(struct vm_table *table);
int vm_table_add(struct vm_table *table, const struct vm_entry *vm); /* 0 or -ENOMEM */
void vm_table_print(const struct vm_table *table, FILE *out);
