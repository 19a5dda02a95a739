/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/str.h"
#include "launcher/doctor/reach.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* A mount seen through itself, or through any other, is a path or nothing. */
static void look_through(const struct mount_table *table, const struct mount *mount)
{
	size_t i;

	for (i = 0; i < table->n && i < 16; i++) {
		char *through = NULL;
		int ret = mount_path_through(mount, mount->point, &table->items[i], &through);

		if (ret < 0 || (ret == 1) != (through != NULL))
			abort();
		free(through);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct mount_table table = { 0 };
	struct str options = { 0 };
	size_t i;

	if (mount_table_parse((const char *)data, size, &table) < 0)
		abort();
	for (i = 0; i < table.n && i < 16; i++) {
		struct reach reach = reach_of(&table.items[i]);

		if (!reach.why || !mount_table_find(&table, table.items[i].id))
			abort();
		reach_options(&table.items[i], &options);
		look_through(&table, &table.items[i]);
	}
	str_finish(&options);
	mount_table_finish(&table);
	return 0;
}
