/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "flock.h"

#include <stdio.h>
#include <sys/sysmacros.h>

/* The kernel tells of a flock in /proc/locks alone: "1: FLOCK ADVISORY WRITE 4711 fe:01:1234 0 EOF"
 */
void flock_look(const struct stat *info, struct lock_view *view)
{
	FILE *file = fopen("/proc/locks", "re");
	unsigned major, minor;
	char line[256], kind[8];
	unsigned long ino;
	int pid;

	while (file && fgets(line, sizeof(line), file)) {
		if (sscanf(line, "%*d: FLOCK ADVISORY %7s %d %x:%x:%lu", kind, &pid, &major, &minor,
			    &ino) != 5)
			continue;
		if (ino != info->st_ino || makedev(major, minor) != info->st_dev)
			continue;
		view->held = true;
		view->mode = kind[0] == 'W' ? RESOURCE_EXCLUSIVE : RESOURCE_READER;
		view->holder.source = LOCK_HOLDER_KERNEL;
		view->holder.pid = pid > 0 ? pid : 0;
	}
	if (file)
		fclose(file);
}
