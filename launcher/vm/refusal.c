/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/refusal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "launcher/options.h"
#include "launcher/vm_holder.h"
#include "locking/lock_conflict.h"

/* Does another VM of this host hold it, by its own account? */
static void find_in_states(const struct rundir *rundir, struct lock_conflict *conflict)
{
	struct vm_entry *vms;
	size_t n, i, others = 0;

	if (rundir_list_users(rundir, &conflict->id, &vms, &n) < 0)
		return;
	for (i = 0; i < n; i++) {
		if (strcmp(vms[i].name, rundir->name) == 0)
			vm_entry_finish(&vms[i]);
		else
			vms[others++] = vms[i];
	}
	vm_holder_name(vm_holder_find(vms, others, &conflict->id), &conflict->holder);
	for (i = 0; i < others; i++)
		vm_entry_finish(&vms[i]);
	free(vms);
}

void refusal_sentence(
	const struct rundir *rundir, struct lock_conflict *conflict, struct error *ret)
{
	if (conflict->holder.source != LOCK_HOLDER_RECORD)
		find_in_states(rundir, conflict);
	lock_conflict_sentence(conflict, ret->text, sizeof(ret->text));
}

/* A VM of this runtime directory can be stopped from here, unless nobody supervises it. */
static bool way_out_here(
	const struct vm *vm, const struct lock_conflict *conflict, struct error *ret)
{
	struct vm_entry entry;
	bool found;

	if (rundir_look(vm->rundir, conflict->holder.vm, &entry) < 0)
		return false;
	found = entry.presence == VM_SUPERVISED || entry.presence == VM_UNSUPERVISED;
	if (entry.presence == VM_SUPERVISED)
		error_set(ret, 0, "'vmlatch stop %s' frees it; 'vmlatch who %.200s' tells more.",
			conflict->holder.vm, conflict->path);
	else if (entry.presence == VM_UNSUPERVISED)
		error_set(ret, 0, "Its supervisor is dead: 'kill %d' (QEMU) frees it.",
			conflict->holder.pid);
	vm_entry_finish(&entry);
	return found;
}

/* Whoever has only the lock file is not found by the image. */
static void who_hint(
	const struct options *options, const struct lock_conflict *conflict, struct error *ret)
{
	if (options->lockspace)
		error_set(ret, 0, "'vmlatch who --lockspace %.150s%s %.200s' tells more.",
			options->lockspace,
			options->lockspace_by_identity ? " --lockspace-name identity" : "",
			conflict->path);
	else
		error_set(ret, 0, "'vmlatch who %.300s' tells more.", conflict->path);
}

/* It may come from a record that anybody has written, and the words are there to be typed. */
static bool can_be_typed(const struct lock_holder *holder)
{
	return vm_name_is_valid(holder->vm) && vm_name_is_valid(holder->host);
}

void refusal_way_out(const struct vm *vm, const struct lock_conflict *conflict, struct error *ret)
{
	const struct lock_holder *holder = &conflict->holder;
	/* the host's own name may be another one than the user has given it here */
	bool elsewhere = holder->source != LOCK_HOLDER_STATE && holder->host[0] &&
			 strcmp(holder->host, vm->plan->options->host_name) != 0;

	if (elsewhere && can_be_typed(holder))
		error_set(ret, 0, "'vmlatch stop %s' on %s frees it.", holder->vm, holder->host);
	else if (!holder->vm[0] || !way_out_here(vm, conflict, ret))
		who_hint(vm->plan->options, conflict, ret);
}

/* Who starts it may be root, who is denied nothing. */
void refusal_name_user(const struct vm *vm, struct error *ret)
{
	const struct options *options = vm->plan->options;

	if (vm->plan->credentials->change && options->user)
		error_set(ret, 0, "Images are opened with the rights of the user '%s' (--user).",
			options->user);
}

void refusal_note(
	struct vm *vm, int outcome, struct lock_conflict *conflict, const struct error *err)
{
	enum vm_cause cause = vm->state.cause;

	vm->refusal = *err;
	vm->refusal_outcome = outcome;
	if (outcome == LOCK_BUSY && conflict)
		refusal_sentence(vm->rundir, conflict, &vm->refusal);
	if (outcome == LOCK_BUSY)
		cause = CAUSE_LOCK_BUSY;
	else if (outcome == LOCK_STALE)
		cause = CAUSE_STALE;
	else if (outcome == LOCK_LOST)
		cause = CAUSE_LOCK_LOST;
	vm_set_cause(vm, cause, vm->refusal.text);
	log_error("not resumed: %s", vm->refusal.text);
}
