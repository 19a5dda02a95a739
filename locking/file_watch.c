/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <unistd.h>

#include "locking/file_locks.h"

/* What takes a lock file away, or puts another one in its place (inotify(7)). */
#define LOSSES (IN_DELETE | IN_MOVED_FROM | IN_MOVED_TO | MOVES)
/* What takes its directory away; of each directory above, since that takes all below it along. */
#define MOVES (IN_DELETE_SELF | IN_MOVE_SELF)

static void directory_watch(int watch, const char *path, uint32_t events)
{
	inotify_add_watch(watch, path, events | IN_ONLYDIR | IN_MASK_ADD);
}

static void lock_file_watch(int watch, const char *lock_file)
{
	char dir[PATH_MAX], real[PATH_MAX], *slash;

	snprintf(dir, sizeof(dir), "%s", lock_file);
	*strrchr(dir, '/') = '\0';
	directory_watch(watch, *dir ? dir : "/", LOSSES);
	if (!realpath(dir, real))
		return;
	for (; (slash = strrchr(real, '/')) && slash != real; directory_watch(watch, real, MOVES))
		*slash = '\0';
}

int file_locks_watch(struct file_locks *locks, const struct file_image *image, struct error *err)
{
	bool entered = locks->rights.entered;
	size_t i;

	file_rights_leave(&locks->rights);
	for (i = 0; i < image->n_places; i++) {
		if (!file_place_is_lock_file(&image->places[i]))
			continue;
		if (locks->watch < 0)
			locks->watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
		if (locks->watch >= 0)
			lock_file_watch(locks->watch, image->places[i].path);
	}
	return entered ? file_rights_enter(&locks->rights, err) : 0;
}

void file_locks_watch_reset(struct file_locks *locks)
{
	char events[4096];
	ssize_t n;

	do {
		n = locks->watch < 0 ? 0 : read(locks->watch, events, sizeof(events));
	} while (n > 0 || (n < 0 && errno == EINTR));
}
