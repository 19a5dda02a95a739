/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>

/*
 * vmlatch under the name of a QEMU (a symlink to it, first in PATH): whoever
 * starts that QEMU gets the real one, under locks, and cannot tell.
 */

/* Is this the name of a QEMU: qemu-system-*, qemu-kvm or kvm? @argv0 may be a path. */
bool drop_in_is_name(const char *argv0);

/* That name alone, which is looked for further down in PATH. */
const char *drop_in_name(const char *argv0);

/*
 * Be that QEMU. A call that starts no VM becomes the real program at once, and
 * so does one that was locked by a vmlatch before, in this very process (a
 * script that stands between the two).
 *
 * @argv	main()'s, handed over byte for byte
 *
 * Returns the exit status, if it returns.
 */
int drop_in(char **argv);
