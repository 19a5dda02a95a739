/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/memory.h"

#include <malloc.h>
#include <stdint.h>
#include <sys/mman.h>
#include <unistd.h>

/* Deeper than anything of ours goes, and within what the kernel maps for a stack at first. */
#define STACK_DEPTH (96 * 1024)

void memory_give_back(void)
{
	size_t page = sysconf(_SC_PAGESIZE);
	char *here = __builtin_frame_address(0);
	/* two pages further down: below here are the frames of the calls that we make */
	char *end = here - (uintptr_t)here % page - 2 * page;

	malloc_trim(0);
	madvise(end - STACK_DEPTH, STACK_DEPTH, MADV_DONTNEED);
}
