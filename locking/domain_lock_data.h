/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/domain_lock.h"

/* What domain_lock.c and domain_attach.c share. */
struct domain_lock {
	struct lock *lock;
	enum domain_lock_state state;
	struct resource_set resources;
	char *saved; /* the driver's state text; while RELEASED */
};

/* Take over what the driver has learnt when it opened the resources. */
void domain_lock_refresh(struct domain_lock *domain);
