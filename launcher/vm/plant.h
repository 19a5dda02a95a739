/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/vm.h"

/*
 * Locks that are taken after QEMU's start are planted: their life lines are
 * given to QEMU by 'getfd', so that they last as long as QEMU does, whatever
 * becomes of us. Each name is used once in the VM's life: 'getfd' under a name
 * that is in use would close the first descriptor, and with it free its lock.
 */

/* What the lock thread hands out: copies, so that nobody else touches the lock object. */
struct life_line {
	int fd;
	struct resource resource; /* whose it is; a copy */
};
struct life_lines {
	struct life_line *items;
	size_t n;
};
void life_lines_finish(struct life_lines *lines); /* closes them */

/* Copies of the life lines of these resources (those that have one). 0 or -errno. */
int life_lines_copy(
	struct domain_lock *domain, const struct resource_set *resources, struct life_lines *ret);

/*
 * Those of @resources whose life line QEMU does not have.
 *
 * Returns 0 or -ENOMEM.
 */
int plant_missing(struct vm *vm, const struct resource_set *resources, struct resource_set *ret);

/*
 * Add those of which QEMU has an old description, if any: a lock file of theirs had
 * to be opened anew, or is one of another name. On the lock thread.
 *
 * Returns 0 or -ENOMEM.
 */
int plant_add_reopened(struct domain_lock *domain, struct resource_set *images);

/* Until they are planted they are missing, also where this attempt fails and the next one plants.
 */
void plant_note_missing(struct vm *vm, const struct resource_set *images);

/*
 * Plant them all.
 *
 * @resources	whose they are; remembered
 * @lines	taken over, and closed at the end
 * @done	called once: 0, or an error with its words
 */
void plant(struct vm *vm, const struct resource_set *resources, struct life_lines *lines,
	void (*done)(void *data, int result, const char *words), void *data);

/*
 * That one is unlocked for good: the next time it is another description. What
 * was planted of it is taken out of QEMU, which has no use for it.
 */
void plant_forget(struct vm *vm, const struct resource *resource);
