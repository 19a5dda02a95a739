/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* The system calls that glibc 2.36 has only in part. All return -errno on failure. */
int pidfd_open_cloexec(pid_t pid);
int pidfd_signal(int pidfd, int signal);

/*
 * When a process was started, in clock ticks since boot (/proc/PID/stat, field
 * 22): with the pid and the boot id it names one process for ever. 0 or -errno
 * (-ENOENT, -ESRCH: no such process). A zombie counts as no process: -ESRCH;
 * but not while other threads of it are still on their way out, since they keep
 * its descriptors and with them its locks.
 */
int process_start_time(pid_t pid, uint64_t *ret);

/*
 * Do the numbers below /proc count as ours do? What is mounted there may be that of
 * another PID namespace, in which they are other processes.
 */
bool process_sees_itself(void);

/* Is this very process alive? A @start_time of 0 asks for the pid alone. */
int process_is_alive(pid_t pid, uint64_t start_time);

/* Does it stand still, by SIGSTOP or the like, or in a debugger? (State T or t.) */
bool process_is_stopped(pid_t pid);

/* Whose thread it is, and what that calls itself (cut, and printable). 0 or -errno. */
#define PROCESS_NAME_SIZE 64
struct process_thread {
	pid_t process;
	char name[PROCESS_NAME_SIZE];
};
int process_of_thread(pid_t thread, struct process_thread *ret);

/* Has it been sent a signal that none of its threads could take yet? */
bool process_awaits_signal(pid_t pid, int signal);

/*
 * What ps shows of this process: its name and its arguments become "vmlatch: @title",
 * cut to the room that the arguments had.
 *
 * @argv	main()'s; to be called before it may be needed
 */
void process_remember_arguments(char **argv);
void process_set_title(const char *title);

/*
 * From now on no other process of the same user may trace this one, fetch its
 * descriptors or open what is below its /proc/PID that is not everybody's to read
 * (PR_SET_DUMPABLE in prctl(2)); only root may. Neither does it dump core. What it
 * forks is the same, what it executes is not.
 */
void process_hide(void);

/*
 * How a process ended that may be nobody's child of ours: from Linux 6.15 on a
 * pidfd that was open before tells, once its parent has waited for it.
 *
 * @ret	as wait() gives it
 *
 * Returns 0 or -errno (it lives, nobody has waited yet, or the kernel cannot tell).
 */
int pidfd_wait_status(int pidfd, int *ret);

/* End by this signal, as who was ended by it. Returns if we cannot die of it. */
void process_die_of(int signal);

/* The id of this boot, 36 characters (/proc/sys/kernel/random/boot_id). 0 or -errno. */
#define BOOT_ID_SIZE 37
int process_boot_id(char id[static BOOT_ID_SIZE]);

/* A random (version 4) UUID, 36 characters. 0 or -errno. */
#define UUID_SIZE 37
int uuid_generate(char uuid[static UUID_SIZE]);
