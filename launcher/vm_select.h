/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "launcher/control_client.h"
#include "launcher/verb_args.h"
#include "launcher/vm/rundir.h"

/*
 * Which VMs a verb's words mean: names, and globs over the VMs that there are.
 * Each VM is dealt with by itself, and the first failure's status counts.
 */

/* One VM, and what a verb is to do with it. */
struct vm_job {
	const struct rundir *rundir;
	const struct vm_entry *vm;
	const struct verb_args *args;
	bool by_name; /* not only by a glob */
};

/* Returns an exit status. What it logs carries the VM's name. */
typedef int (*vm_job_fn)(const struct vm_job *job, void *data);

/*
 * @patterns	of @args's operands the first @n
 *
 * Returns the exit status: 66 where a word means no VM.
 */
int vm_select(const struct verb_args *args, size_t n, vm_job_fn act, void *data);

/* A whole verb: parse @argv, then @act on each VM (@n_vms: of the operands; 0: all). */
int vm_verb(char **argv, size_t n_vms, vm_job_fn act);

/* The sentence for a VM whose supervisor died: -ENOTCONN, status 69. */
int vm_job_unsupervised(const struct vm_job *job, struct error *err);

/*
 * Talk to the VM's supervisor. A VM without one is -ENOTCONN, with a sentence
 * that says so and status 69.
 */
int vm_job_connect(const struct vm_job *job, struct control_client *client, struct error *err);

/* The exit status for a call that was refused (CONTROL_REFUSED) or failed; logs @err. */
int vm_job_failure(int code, const struct control_client *client, struct error *err);
