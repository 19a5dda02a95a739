/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "base/error.h"
#include "base/str.h"
#include "launcher/disks/disks.h"

/*
 * QEMU opens its writable images again, by the names that it was given, when it
 * is made to let go of them. -daemonize, -chroot and -runas (and -run-with) take
 * away what it needs for that, and where it fails nobody knows what QEMU still
 * holds. Why these images will not be opened again is added to @reasons.
 *
 * Returns 0 or -errno with a sentence.
 */
int reopen_judge(const struct disks *disks, struct strv *reasons, struct error *err);
