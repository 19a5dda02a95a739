/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/domain_lock.h"

/* What domain_lock.c, domain_process.c, domain_attach.c and domain_unused.c share. */
struct domain_lock {
	struct lock *lock;
	enum domain_lock_state state;
	struct resource_set resources;
	char *saved;       /* the driver's state text; while RELEASED */
	char *passed_over; /* one with which the last resume, by force, has not compared */
};

/* Take over what the driver has learnt when it opened the resources. */
void domain_lock_refresh(struct domain_lock *domain);

/*
 * Does a driver's text that was inquired earlier still speak of all that is held? What
 * it does not speak of could be used by others unnoticed.
 *
 * Returns 0, LOCK_CHANGED or -errno, with a sentence.
 */
int domain_lock_check_saved(struct domain_lock *domain, const char *text, struct error *err);

/*
 * Arm what has been taken again; @as_saved: and has been seen to be as it was saved.
 * What fails may have armed some of it: that was us, and several such attempts must
 * not look like somebody else. (Where that cannot be noted, they do.)
 *
 * Returns 0 or -errno.
 */
int domain_lock_arm_again(struct domain_lock *domain, bool as_saved, struct error *err);
