/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/public.h"

/*
 * What a file looked like when its locks were given back: the second guard
 * against a stale resume, which also sees writers that know nothing of us.
 */
struct stamp {
	uint64_t ino; /* 0: none was taken */
	int64_t size;
	int64_t mtime_s;
	int64_t mtime_ns;
};

/* Of an open file, now. 0 or -errno. */
_public_ int stamp_take(int fd, struct stamp *ret);

/*
 * Has nobody written since @saved? A file that only grew (room was made after
 * "no space left") is excused as long as it has kept its time of modification.
 */
_public_ bool stamp_is_kept(const struct stamp *saved, const struct stamp *now);

/*
 * A file system's clock is coarse: two writes within one tick leave the same time
 * of modification. Wait until a write that comes now would leave another one (a
 * few milliseconds after a write, where whole seconds are kept two seconds; after
 * that at once).
 */
_public_ void stamp_wait_for_tick(int fd);
