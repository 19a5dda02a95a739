/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"

/*
 * Unix stream sockets by path. An address holds 107 characters; a longer path is
 * reached through a descriptor of its directory, so only its last part is bound
 * to that limit.
 */

/*
 * Listen at @path (mode 0600 from birth, close-on-exec). A socket there that
 * nobody listens at any more is replaced; anything else is -EADDRINUSE.
 *
 * Returns the descriptor, or -errno with a sentence.
 */
int unix_socket_listen(const char *path, struct error *err);

/* Connect, close-on-exec. Returns the descriptor, or -errno with a sentence. */
int unix_socket_connect(const char *path, struct error *err);
