/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <dirent.h>
#include <stdbool.h>
#include <sys/types.h>

/*
 * All threads of a process held still by ptrace. What SIGSTOP alone does not do:
 *
 * - They stay, whoever sends SIGCONT: that wakes no thread that was seized
 *   (kernel/signal.c: prepare_signal() and ptrace_trap_notify()).
 * - They never run again without us: PTRACE_O_EXITKILL kills them as the thread
 *   that holds them exits (kernel/ptrace.c: exit_ptrace()), before the kernel
 *   sends SIGCONT to a process group that is orphaned by that exit
 *   (kernel/exit.c: exit_notify(), forget_original_parent()).
 *
 * It is all threads or none. A thread that is interrupted can leave a SIGSTOP
 * undelivered, and those that are not held would run on.
 *
 * The process is a child of ours, and all calls come from one thread: the kernel
 * knows the thread that traces, not its process. Nothing here waits for anybody,
 * and the exit status of the process is left to whoever wants it.
 */
struct tracer {
	pid_t pid;
	DIR *tasks; /* /proc/PID/task; NULL: no thread is held */
	enum { TRACER_HOLDS, TRACER_LETS_GO } aim;
};

/*
 * Hold every thread; again: whatever is held already. A thread stops as soon as
 * it can, which one in an uninterruptible sleep cannot yet.
 *
 * Returns 0, or -errno: a thread cannot be held (no permission, it has a debugger),
 * so none is.
 */
int tracer_hold(struct tracer *tracer, pid_t pid);

/*
 * To be called after each SIGCHLD: threads have stopped (those that they had
 * started meanwhile are held now, or they are let go) or died. A thread that died
 * while held is a zombie until it is waited for here, and until then nobody sees
 * the process end (kernel/exit.c: delay_group_leader()).
 *
 * Returns as tracer_hold().
 */
int tracer_look(struct tracer *tracer);

/* Is it up to us that they stay? Not so once one could not be held. */
bool tracer_holds(const struct tracer *tracer);

/* Let them go on as soon as they have stopped. SIGCONT comes first: see tracer.c. */
void tracer_let_go(struct tracer *tracer);
