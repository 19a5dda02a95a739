/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "file_helpers.h"
#include "locking/path_hash.h"

/* A lockspace, an image, and VMs of several hosts that use them. */
extern char space[128], image[128];
extern struct lock_params params; /* of the last VM */

int make_space(void **state);

/* The lock object of a VM on a host, with the lockspace. */
struct lock *vm_on(const char *vm, const char *host);

/* That of VM 'a' on host-a, which holds this image. */
struct lock *holder_of(const char *path, enum resource_mode mode);

/* The lock file of a path, as virtlockd calls it; static. */
const char *lock_file(const char *path);

/* A whole text file; get()'s is the caller's. */
void put(const char *path, const char *text);
char *get(const char *path);

int acquire(struct lock *lock, struct error *err);

/* The supervisor's copy takes over what the child's has got; what adopt returns. */
int adopt_from(struct lock *child, struct lock *ours, struct error *err);
