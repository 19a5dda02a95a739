/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "locking/lock_driver.h"

/*
 * What stood in the way, for people (pure):
 *
 *	/srv/vm/web1.qcow2 is in use by VM 'web1-test' (host kvm3, pid 4711, since
 *	2026-11-22 10:14)
 *
 * What is not known is left out; of a very long path the end is shown. Returns @text.
 */
const char *lock_conflict_sentence(const struct lock_conflict *conflict, char *text, size_t size);

/* The same of the holder alone: "VM 'web1-test' (host kvm3)", "virtlockd (pid 12)". */
const char *lock_holder_phrase(const struct lock_holder *holder, char *text, size_t size);

/* The last part of a path that is too long for a sentence, after "...". */
#define PATH_SHORT_SIZE 256
const char *path_short(const char *path, char text[static PATH_SHORT_SIZE]);
