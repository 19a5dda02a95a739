/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

/*
 * What changes the list of VMs, or what their state files say, by inotify: a
 * VM's directory that comes or goes, a state file that is replaced, and the
 * lock that a dying supervisor closes. Not the end of a QEMU without supervisor.
 *
 * Returns a descriptor for rundir_watch_wait(), the caller's; -ENOENT: there is
 * no runtime directory yet; or -errno with a sentence.
 */
int rundir_watch(struct error *err);

/*
 * Wait for the first change since rundir_watch(), or @timeout_ms (-1: for ever).
 * @fd -1 is for a runtime directory that is not there: looks again after a second.
 *
 * Returns 0 or -errno with a sentence.
 */
int rundir_watch_wait(int fd, int timeout_ms, struct error *err);
