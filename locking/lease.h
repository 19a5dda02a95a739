/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <limits.h>
#include <stdint.h>

#include "base/error.h"

/*
 * A lease's name, as people write it and as it is a resource's path (pure):
 *
 *	SPACE:KEY[:PATH[:OFFSET]]
 *
 * Model: libvirt's <lease>. PATH is a directory (the file driver) or a device
 * (sanlock), OFFSET where in it.
 */
#define LEASE_NAME_SIZE 256

struct lease {
	char space[LEASE_NAME_SIZE];
	char key[LEASE_NAME_SIZE];
	char path[PATH_MAX]; /* "": not given */
	uint64_t offset;
};

/* 0, or -EINVAL with a sentence. */
int lease_from_text(const char *text, struct lease *ret, struct error *err);
