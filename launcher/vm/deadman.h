/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/types.h>

/*
 * A process that kills QEMU as soon as we are gone: for one that is frozen and
 * could not be traced, which does this by itself (tracer.h), and for one whose guest
 * waits for our first 'cont' (unborn.h). It is our child, has nothing open but QEMU's
 * pidfd and a pipe from us, and hears of our death by the pipe's end: before the kernel
 * sends SIGCONT to a process group that is orphaned by it (kernel/exit.c:
 * exit_files(), then exit_notify()).
 */
struct deadman {
	pid_t pid;
	int pipe; /* -1: there is none */
};

struct deadman_prey {
	int pidfd;
	/* was started with QEMU's monitor: whoever goes by it (trace.h) dies, too */
	pid_t starter; /* 0: the pidfd says it all */
	uint64_t start_time;
};

/*
 * Again: there is one already. With a @starter only before there is any thread: the
 * search in /proc needs the C library. 0 or -errno.
 */
int deadman_start(struct deadman *deadman, const struct deadman_prey *prey);

/* After each SIGCHLD. Returns -ECHILD if somebody has killed it; else 0. */
int deadman_look(struct deadman *deadman);

/* QEMU may go on. Its end is seen by deadman_look(). */
void deadman_stop(struct deadman *deadman);
