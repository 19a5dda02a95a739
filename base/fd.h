/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "base/error.h"

/* The kernel's limit for one message (SCM_MAX_FD). */
#define FD_MESSAGE_MAX 253

/* All of it or an error, across short writes and EINTR; no SIGPIPE on sockets. 0 or -errno. */
int fd_write_all(int fd, const void *bytes, size_t len);

/* Until end of file or @size. Returns the count or -errno. */
ssize_t fd_read_all(int fd, void *bytes, size_t size);

/*
 * One message with descriptors over a unix socket.
 *
 * @fds, @n	at most FD_MESSAGE_MAX; stay the caller's
 *
 * Returns 0 or -errno.
 */
int fd_send(int socket, const void *bytes, size_t len, const int *fds, size_t n);

/*
 * Receive one message. The descriptors are close-on-exec and the caller's.
 *
 * @fds, @n	in: room (at most FD_MESSAGE_MAX); out: how many came
 *
 * Returns the count of bytes (0: the peer has closed) or -errno; -EMSGSIZE if
 * something was cut off, and then no descriptor is left open.
 */
ssize_t fd_receive(int socket, void *bytes, size_t size, int *fds, size_t *n);

/* Close all of @fds and set them to -1. */
void fd_close_many(int *fds, size_t n);

int fd_set_cloexec(int fd, bool on); /* 0 or -errno */

/*
 * Where standard input, output or error are closed: take their numbers, so that
 * what is opened next is never written to in their place. Reading and writing
 * them stays an error, and whom we execute finds them closed. 0 or -errno.
 */
int fd_keep_standard(void);

/*
 * Can @n more be opened (at most FD_MESSAGE_MAX)? For libraries that abort where they
 * cannot. Needs fd_keep_standard() before. 0 or -errno with a sentence.
 */
int fd_check_room(size_t n, struct error *err);

/*
 * Where descriptors that QEMU inherits are put: at the top end below its soft
 * RLIMIT_NOFILE. Above the limit, tap and bridge scripts that QEMU starts would
 * inherit them (they close 3..limit), and keep a disk locked for ever.
 *
 * @needed	how many descriptors are to be placed
 *
 * Returns the lowest number to hand to fd_place(), or -EMFILE with a sentence.
 */
int fd_high_base(size_t needed, struct error *err);

/*
 * Move a descriptor to the first free number from @base on, without
 * close-on-exec, and close the old number. A number in use is never taken.
 *
 * Returns the new number, or -errno (and @fd stays as it was).
 */
int fd_place(int fd, int base);
