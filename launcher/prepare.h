/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/disks/disks.h"
#include "launcher/options.h"
#include "launcher/vm/vm.h"
#include "locking/lock_driver.h"

/*
 * Everything that 'run' will do and 'check' prints, worked out before anything
 * is done: options, the VM's name, its disks, what keeps it from releasing.
 */
struct preparation {
	struct options options;
	bool drop_in;
	const struct lock_driver *driver;
	struct credentials credentials;
	struct privileges privileges;
	struct sandbox_plan sandbox;
	struct disks disks;
	char *directory; /* as in the plan */
	struct strv pinned;
	struct strv warnings;
	struct strv left_to_qemu; /* a drop-in's: what 'run' would warn of or refuse */
	char name[VM_NAME_SIZE];
	struct vm_plan plan; /* without the binary */
};
void preparation_finish(struct preparation *preparation);

/*
 * @argv	[0] is the verb
 * @keep_open	how many images may stay open behind it (struct disks_params)
 * @ret		end it with preparation_finish(), also after a failure
 *
 * Returns 0, PREPARE_NO_VM (QEMU would print something and exit: there is
 * nothing to lock, run it as it is), or -errno with a sentence and its status.
 */
enum { PREPARE_NO_VM = 1 };
int prepare(char **argv, size_t keep_open, struct preparation *ret, struct error *err);

/* The same with options that were parsed already: @ret has them, and the rest is empty. */
int prepare_with_options(struct preparation *ret, size_t keep_open, struct error *err);

/* The same for a drop-in. @argv: QEMU's, all of it. */
int prepare_drop_in(char **argv, struct preparation *ret, struct error *err);
