/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "fault_each.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <jansson.h>
#include <stdlib.h>

#include "base/allocation.h"
#include "fault.h"

#define MAX_CALLS 20000 /* more means a loop that never ends */

size_t fault_count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	size_t n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

void fault_watch_jansson(void)
{
	json_set_alloc_funcs(allocation_make, free);
}

unsigned fault_each(int (*attempt)(struct error *err))
{
	size_t fds = fault_count_fds();
	bool fired = true;
	unsigned n;

	for (n = 1; fired; n++) {
		struct error err = { 0 };
		int ret;

		if (n > MAX_CALLS)
			fail_msg("more than %d calls", MAX_CALLS);
		fault_arm(n);
		ret = attempt(&err);
		fired = fault_disarm();
		if (ret != 0 && !fired)
			fail_msg("without a fault: %d, %s", ret, err.text);
		if (ret != 0 && !err.text[0])
			fail_msg("call %u, %s: %d without a sentence", n, fault_name(), ret);
		if (fault_count_fds() != fds)
			fail_msg("call %u, %s: a descriptor is left", n, fault_name());
	}
	return n - 2;
}
