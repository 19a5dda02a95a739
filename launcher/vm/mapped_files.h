/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/types.h>

#include "base/error.h"
#include "locking/resource.h"

/*
 * Files that are no block nodes, and are written all the same: what QEMU has
 * open and mapped, shared and writable, as memory of the guest (an NVDIMM's image,
 * memory-backend-file with share=on). What it has mapped and closed again is a
 * library's own (a shader cache), and what has no name any more nobody else's.
 *
 * @ret	added to, as exclusive disks
 *
 * Returns 0 or -errno with a sentence.
 */
int mapped_files_find(pid_t pid, struct resource_set *ret, struct error *err);
