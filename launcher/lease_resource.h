/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/options.h"
#include "locking/resource.h"

/*
 * Add the lease that @text names (lease.h) to the set: under one name for all its
 * spellings, with its place (the lockspace where the text gives none) and that
 * without links.
 *
 * @origin	for people; may be NULL
 *
 * Returns 0 or -errno with a sentence and its exit status.
 */
int lease_resource_add(const char *text, const char *origin, const struct options *options,
	struct resource_set *set, struct error *err);
