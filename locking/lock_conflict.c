/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/lock_conflict.h"

#include <stdio.h>
#include <string.h>

#include "base/clock.h"

/* " (host kvm3, pid 4711, since 2026-11-22 10:14)", or nothing. */
static void details_write(const struct lock_holder *holder, char *text, size_t size)
{
	char host[LOCK_NAME_SIZE + 8] = "", pid[32] = "", since[CLOCK_TEXT_SIZE + 8] = "";
	char when[CLOCK_TEXT_SIZE];

	if (*holder->host)
		snprintf(host, sizeof(host), ", host %s", holder->host);
	if (holder->pid > 0)
		snprintf(pid, sizeof(pid), ", pid %d", holder->pid);
	if (holder->since > 0)
		snprintf(since, sizeof(since), ", since %s", clock_text(holder->since, when));
	if (snprintf(text, size, " (%s%s%s)", host, pid, since) == 3)
		*text = '\0';
	else /* the first ", " is one too many */
		memmove(text + 2, text + 4, strlen(text + 4) + 1);
}

const char *lock_holder_phrase(const struct lock_holder *holder, char *text, size_t size)
{
	char details[2 * LOCK_NAME_SIZE];

	details_write(holder, details, sizeof(details));
	if (*holder->vm)
		snprintf(text, size, "VM '%s'%s", holder->vm, details);
	else if (*holder->process)
		snprintf(text, size, "%s%s", holder->process, details);
	else if (holder->pid > 0)
		snprintf(text, size, "a process%s", details);
	else
		snprintf(text, size, "a process of another host or user");
	return text;
}

const char *path_short(const char *path, char text[static PATH_SHORT_SIZE])
{
	size_t len = strlen(path), room = PATH_SHORT_SIZE - 1;

	if (len <= room)
		memcpy(text, path, len + 1);
	else
		snprintf(text, PATH_SHORT_SIZE, "...%s", path + len - (room - 3));
	return text;
}

const char *lock_conflict_sentence(const struct lock_conflict *conflict, char *text, size_t size)
{
	char path[PATH_SHORT_SIZE], holder[3 * LOCK_NAME_SIZE];

	snprintf(text, size, "%s is in use by %s", path_short(conflict->path, path),
		lock_holder_phrase(&conflict->holder, holder, sizeof(holder)));
	return text;
}
