/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/str.h"
#include "launcher/disks/disks.h"

/*
 * Why a resource is in the set, for people: the argument that it all began with,
 * and the images between that and this one. Pure.
 */

/* One step: "backing file" of @of. */
struct check_link {
	const char *role;
	const char *of; /* its path */
};

/* So many steps are told; a longer chain says its beginning. */
#define CHECK_LINKS_MAX 200

struct check_reason {
	const char *argument;                     /* never NULL */
	const char *why;                          /* of the mode; NULL: there is nothing to say */
	struct check_link links[CHECK_LINKS_MAX]; /* from this image up to the argument's own */
	size_t n_links;
};

/* All of @ret is borrowed from @disks. */
void check_explain(
	const struct disks *disks, const struct resource *resource, struct check_reason *ret);
