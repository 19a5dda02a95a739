/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/stat.h>

#include "base/error.h"
#include "base/public.h"

/*
 * What a VM needs before it may run: images (or devices) and leases. Pure data:
 * nothing here opens a file.
 */

/* In canonical order: leases are taken before disks, as libvirt does. */
enum resource_kind { RESOURCE_LEASE, RESOURCE_DISK };

/* In order of strength: of two uses of one image the stronger one counts. */
enum resource_mode {
	RESOURCE_READER, /* read-only, backing file: goes with readers only */
	RESOURCE_SHARED, /* share-rw=on: goes with shared writers only */
	RESOURCE_EXCLUSIVE,
};

/* Identity, not spelling: two names of one inode are one resource. */
struct resource_identity {
	uint64_t dev; /* st_dev; of a block device its own number, whatever node it has; 0 for a
			 lease */
	uint64_t ino; /* st_ino; RESOURCE_INO_DEVICE; 0 where it is not known yet */
};
#define RESOURCE_INO_DEVICE UINT64_MAX

struct resource {
	enum resource_kind kind;
	enum resource_mode mode;
	char *path;   /* disk: as it will be opened; lease: SPACE:KEY */
	char *origin; /* which argument named it, for people; may be NULL */
	struct resource_identity id;
};

_public_ void resource_finish(struct resource *resource);

/* Copy; 0 or -ENOMEM, and then @to is untouched. */
_public_ int resource_copy(struct resource *to, const struct resource *from);

_public_ struct resource_identity resource_identity_of(const struct stat *info);
_public_ bool resource_identity_is(const struct resource_identity *id, const struct stat *info);
_public_ bool resource_identity_equal(
	const struct resource_identity *a, const struct resource_identity *b);

/*
 * The same thing? Leases by name, disks by identity; where one identity is not
 * known yet, by path.
 */
_public_ bool resource_is_same(const struct resource *a, const struct resource *b);

/* The canonical order: leases by name, then disks by dev:ino (unknown ones last, by path). */
_public_ int resource_compare(const struct resource *a, const struct resource *b);

/* "exclusive", "shared", "reader" */
_public_ const char *resource_mode_name(enum resource_mode mode);
_public_ const char *resource_kind_name(enum resource_kind kind); /* "lease", "disk" */
int resource_mode_from_name(const char *name);                    /* the mode, or -1 */
int resource_kind_from_name(const char *name);                    /* likewise */

/* A set in canonical order, each identity once. All zeroes is the empty set. */
struct resource_set {
	struct resource *items;
	size_t n;
	size_t size;
};

void resource_set_finish(struct resource_set *set);

/* Add copies of all of @from. 0 or -ENOMEM, and then some may be there. */
int resource_set_copy(struct resource_set *to, const struct resource_set *from);

/*
 * Add a copy. If the set has that identity (or that lease name) already, the
 * stronger mode stays, with the first path and origin.
 *
 * @ret	the member (valid until the next change), may be NULL
 *
 * Returns 0 or -ENOMEM.
 */
int resource_set_add(
	struct resource_set *set, const struct resource *resource, struct resource **ret);

/* The member that is the same (resource_is_same), or NULL. */
struct resource *resource_set_find(const struct resource_set *set, const struct resource *like);

void resource_set_remove(struct resource_set *set, struct resource *member);

/* Back into canonical order, after identities of members have become known. */
void resource_set_sort(struct resource_set *set);
