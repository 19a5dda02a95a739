/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

/*
 * Who has called us with -daemonize believes that the VM runs when we have returned.
 * QEMU's own parent goes as soon as QEMU stands; what it has open is compared with the
 * locks only then, and may end it. So the process that was started does not become that
 * parent, but has it as its child, and waits for both: its end, and the supervisor's word.
 */

/*
 * Fork. What was started stays behind until all is known, and leaves with the status;
 * when it is killed, its child is killed too.
 *
 * Returns in the child: 0 and in @ret where the word goes; or in what was started: -errno with
 * a sentence.
 */
int starter_fork(int *ret, struct error *err);

/* The start has succeeded (0), or has not; @fd is closed, -1: nobody waits. */
void starter_tell(int fd, int status);
