/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

/*
 * A process that kills QEMU as soon as we are gone: for one that is frozen and
 * could not be traced, which does this by itself (tracer.h). It is our child, has
 * nothing open but QEMU's pidfd and a pipe from us, and hears of our death by the
 * pipe's end: before the kernel sends SIGCONT to a process group that is orphaned
 * by it (kernel/exit.c: exit_files(), then exit_notify()).
 */
struct deadman {
	pid_t pid;
	int pipe; /* -1: there is none */
};

/* Again: there is one already. 0 or -errno. */
int deadman_start(struct deadman *deadman, int qemu_pidfd);

/* After each SIGCHLD. Returns -ECHILD if somebody has killed it; else 0. */
int deadman_look(struct deadman *deadman);

/* QEMU may go on. Its end is seen by deadman_look(). */
void deadman_stop(struct deadman *deadman);
