/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stddef.h>
#include <sys/types.h>

/*
 * A stand-in for a QEMU that its guest has taken over: it speaks as much QMP as
 * vmlatch asks for, and does what it is told through a socket (STAND_IN_SOCKET in
 * the environment): "ATTACK SUPERVISOR RUNDIR DISK", answered by what each call of
 * the attack has returned, "CALL=OK" or "CALL=ERRNO", one a line.
 */

struct prey {
	pid_t supervisor;
	char rundir[256]; /* the VM's own */
	char disk[256];
	dev_t dev; /* of the disk */
	ino_t ino;
};

struct attack {
	const char *name;
	void (*act)(const struct prey *prey);
};

/* Tables that end with a NULL name. */
extern const struct attack lock_attacks[];    /* by the descriptors that it has */
extern const struct attack ring_attacks[];    /* by io_uring and by foreign ABIs */
extern const struct attack process_attacks[]; /* on the supervisor as a process */
extern const struct attack file_attacks[];    /* on what lies in directories */
extern const struct attack monitor_attacks[]; /* on who listens to it */

/* Note what a call has returned: < 0: errno says why. Returns @ret. */
long tried(const char *call, long ret);
void note(const char *call, const char *result);

/* Its own descriptors of the disk. Returns how many; at most @max. */
#define DISK_FDS_MAX 64
int disk_fds(const struct prey *prey, int fds[static DISK_FDS_MAX]);

/* The same as an attack by each descriptor: the worst that came of it is noted once. */
void by_each_fd(const struct prey *prey, const char *call, long (*act)(int fd));

/* fcntl(F_OFD_SETLK) of the bytes from @first, @n of them (0: all). */
long set_lock(int fd, int command, short type, off_t first, off_t n);

/* In a child of its own, whose end is waited for: 0, or noted by its signal. */
void in_child(const char *call, long (*act)(void *data), void *data);

void monitor_start(char **argv); /* QEMU's */
int monitor_fd(void);            /* to be watched; then monitor_turn() */
void monitor_turn(void);
int monitor_connection(void); /* who listens to it; -1: nobody */
void monitor_say(const char *line);
void monitor_be(const char *status); /* what query-status says from now on */
