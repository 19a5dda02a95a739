/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/plant.h"
#include "launcher/vm/vm.h"

/*
 * The VM's lock calls, as jobs of the lock thread. From the first job on the
 * domain's lock object belongs to that thread; results come back by value.
 */

/* The actions of the table. */
void locks_save(struct vm *vm);   /* -> SAVED, SAVE_FAILED */
void locks_unlock(struct vm *vm); /* -> UNLOCKED, UNLOCK_FAILED */
void locks_lock(struct vm *vm);   /* -> ACQUIRED, REFUSED (vm->refusal), ACQUIRE_LATE */
void locks_await(struct vm *vm);  /* a lock() that is late gets its deadline anew */
void locks_cont(struct vm *vm);   /* verify, 'cont' -> RESUMED, CONT_FAILED, LOCK_LOST */

/* What becomes of a call that a client or the truth check has asked for. */
struct locks_result {
	int code; /* 0, LOCK_BUSY or -errno */
	const char *words;
	const char *state; /* inquire */
};
typedef void (*locks_fn)(void *data, const struct locks_result *result);

/*
 * A disk more (its images locked, armed and planted), or one less. An attach
 * that cannot be planted is undone.
 *
 * @images	copied
 */
void locks_attach(struct vm *vm, const struct resource_set *images, locks_fn fn, void *data);
void locks_detach(struct vm *vm, const struct resource_set *images, locks_fn fn, void *data);

/* The lock state as text. */
void locks_inquire(struct vm *vm, locks_fn fn, void *data);

/* QEMU is another process than before: vm->child. */
void locks_set_process(struct vm *vm);

/* Give everything back: QEMU is dead. @fn is called in any case, at the latest when it hangs. */
void locks_end(struct vm *vm, locks_fn fn, void *data);
