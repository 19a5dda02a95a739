/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/error.h"

/*
 * Unix stream sockets by path. An address holds 107 characters; a longer path is
 * reached through a descriptor of its directory, so only its last part is bound
 * to that limit.
 */

/* The file that listening has made, to know it again. All zeroes is none. */
struct unix_socket_file {
	dev_t dev;
	ino_t ino;
};

/*
 * Listen at @path (mode 0600 from birth, close-on-exec). A socket there that
 * nobody listens at any more is replaced; anything else is -EADDRINUSE. Of several
 * who do this at the same time one gets it.
 *
 * @made	for unix_socket_remove(); may be NULL
 *
 * Returns the descriptor, or -errno with a sentence.
 */
int unix_socket_listen(const char *path, struct unix_socket_file *made, struct error *err);

/*
 * Remove the socket file, if @path still names the one that was @made. As long as
 * its listener is open nothing else can be taken for it.
 */
void unix_socket_remove(const char *path, const struct unix_socket_file *made);

/* Connect, close-on-exec. Returns the descriptor, or -errno with a sentence. */
int unix_socket_connect(const char *path, struct error *err);
