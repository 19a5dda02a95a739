/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/check_privileges.h"

#include <stdio.h>

#include "base/cleanup.h"

static bool is_as_without_us(const struct preparation *p)
{
	return p->privileges.capabilities == CAPABILITY_ALL;
}

void check_print_privileges(const struct preparation *p)
{
	_cleanup_(str_finish) struct str names = { 0 };

	printf("QEMU's privileges: user %u, ", p->credentials.uid);
	capability_print(p->privileges.capabilities, &names);
	if (is_as_without_us(p))
		printf("the capabilities that it would have without vmlatch");
	else if (names.text)
		printf("no capabilities but %s", names.text);
	else
		printf("no capabilities");
	printf(p->privileges.setuid_helpers ? "; programs that it starts may gain more\n"
					    : "; nothing that it starts can gain any\n");
}

static json_t *names_to_json(uint64_t set)
{
	json_t *array = json_array();
	unsigned i;

	for (i = 0; i < 64; i++) {
		_cleanup_(str_finish) struct str name = { 0 };

		capability_print(set & capability_bit(i), &name);
		if (name.text)
			json_array_append_new(array, json_string(name.text));
	}
	return array;
}

json_t *check_privileges_to_json(const struct preparation *p)
{
	return json_pack("{s:I, s:o, s:b}", "uid", (json_int_t)p->credentials.uid, "capabilities",
		is_as_without_us(p) ? json_null() : names_to_json(p->privileges.capabilities),
		"no-new-privs", !p->privileges.setuid_helpers);
}
