/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/allocation.h"

#include <stdlib.h>

static bool watched;
static bool failed;

void *allocation_make(size_t size)
{
	void *p = watched && failed ? NULL : malloc(size);

	if (!p)
		failed = true;
	return p;
}

void allocation_watch(void)
{
	watched = true;
	failed = false;
}

bool allocation_failed(void)
{
	watched = false;
	return failed;
}
