/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/lock_driver.h"

/* Modules that are refused, each for one thing (meson.build says which). */
#ifndef ABI
#define ABI LOCK_DRIVER_ABI
#endif
#ifndef NAME
#define NAME "odd"
#endif
#ifndef INQUIRE
#define INQUIRE ANY
#endif

static int any(void)
{
	return -1;
}
#define ANY ((void *)any)

#if defined(NUMBER_ALONE)

/* Of another version nothing is known but where the number stands. */
_public_ extern const uint32_t vmlatch_lock_driver;
const uint32_t vmlatch_lock_driver = ABI;
_public_ void *number_alone(void);
void *number_alone(void)
{
	return ANY;
}

#else

#ifdef SYMBOL
#define vmlatch_lock_driver SYMBOL
#endif

#ifdef NEEDS
int NEEDS(void);
static int needing(void)
{
	return NEEDS();
}
#define CREATE ((void *)needing)
#else
#define CREATE ANY
#endif

_public_ extern const struct lock_driver vmlatch_lock_driver;
const struct lock_driver vmlatch_lock_driver = {
	.abi = ABI,
	.name = NAME,
	.create = CREATE,
	.destroy = ANY,
	.set_owner_pid = ANY,
	.add_resource = ANY,
	.acquire = ANY,
	.verify = ANY,
	.arm = ANY,
	.release = ANY,
	.inquire = INQUIRE,
	.descriptors = ANY,
	.adopt = ANY,
	.lost_fd = ANY,
	.resource_fds = ANY,
	.status = ANY,
	.look = ANY,
};

#endif
