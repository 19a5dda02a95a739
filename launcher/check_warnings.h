/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/prepare.h"

/*
 * What is not wrong, but may not be what the user means: one disk by two names,
 * caches that other hosts do not see, QEMU's own locks switched off, images that
 * stay locked at a pause.
 *
 * @ret	sentences are added
 *
 * Returns 0 or -ENOMEM.
 */
int check_warnings(const struct preparation *preparation, struct strv *ret);
