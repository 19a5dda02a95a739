/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/rundir.h"
#include "launcher/vm/vm.h"

/* Who has the disk, since when, and the way out: the sentences of a refusal. */

/*
 * The sentence for a conflict. Where the record does not name the holder, the
 * state files of this host's VMs may: then @conflict is completed.
 */
void refusal_sentence(
	const struct rundir *rundir, struct lock_conflict *conflict, struct error *ret);

/* What the reader can do about it now. @conflict: as refusal_sentence() has left it. */
void refusal_way_out(const struct vm *vm, const struct lock_conflict *conflict, struct error *ret);

/* Whose rights were not enough, if they are not the caller's own. */
void refusal_name_user(const struct vm *vm, struct error *ret);

/*
 * The locks could not be taken again: note it for who asked (vm->refusal), as
 * the pause's cause, and in the log.
 *
 * @conflict	of LOCK_BUSY; else NULL
 */
void refusal_note(
	struct vm *vm, int outcome, struct lock_conflict *conflict, const struct error *err);
