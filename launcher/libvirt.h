/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/str.h"

/*
 * libvirt, which runs vmlatch in QEMU's stead (a symlink as <emulator>). Its own
 * lock manager would ask for the same locks, after us, and get none.
 */

/*
 * Is there a lock manager of libvirt's that will refuse what we have locked? Told
 * by the monitor that libvirt gives to each of its QEMUs, and by its qemu.conf; who
 * may not read that knows only whether virtlockd runs, which is started by the first
 * who asks it for a lock.
 *
 * @argv	QEMU's
 * @root	"" or another directory in the place of "/"
 * @warning	a sentence is added, if so
 *
 * Returns 0 or -ENOMEM.
 */
int libvirt_look(char **argv, const char *root, struct strv *warnings);
