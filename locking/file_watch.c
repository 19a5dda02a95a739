/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "locking/file_locks.h"

/* What takes a lock file away, or puts another one in its place (inotify(7)). */
#define LOSSES (IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE_SELF | IN_MOVE_SELF)

static void directory_watch(int watch, const char *path)
{
	char dir[PATH_MAX];

	snprintf(dir, sizeof(dir), "%s", path);
	*strrchr(dir, '/') = '\0';
	inotify_add_watch(watch, *dir ? dir : "/", LOSSES | IN_ONLYDIR);
}

void file_locks_watch(struct file_locks *locks)
{
	size_t i, k;

	for (i = 0; locks->adopted && i < locks->n; i++) {
		const struct file_image *image = &locks->images[i];

		for (k = 0; k < image->n_places; k++) {
			if (!file_place_is_lock_file(&image->places[k]))
				continue;
			if (locks->watch < 0)
				locks->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
			if (locks->watch >= 0)
				directory_watch(locks->watch, image->places[k].path);
		}
	}
}

void file_locks_watch_reset(struct file_locks *locks)
{
	char events[4096];
	ssize_t n;

	do {
		n = locks->watch < 0 ? 0 : read(locks->watch, events, sizeof(events));
	} while (n > 0 || (n < 0 && errno == EINTR));
}
