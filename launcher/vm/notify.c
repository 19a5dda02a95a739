/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/notify.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"

#define SENTENCE_SHOWN (NOTIFY_MAX / 2)

int notify_open(struct notify *notify, const char *name, struct error *err)
{
	struct notify made = { .address.sun_family = AF_UNIX };
	size_t len = strlen(name);

	if (name[0] != '/' && (name[0] != '@' || len < 2))
		return error_set(err, -EAFNOSUPPORT,
			"NOTIFY_SOCKET=%s is neither a path nor '@' and a name", name);
	if (len >= sizeof(made.address.sun_path))
		return error_set(err, -ENAMETOOLONG, "NOTIFY_SOCKET=%s is too long", name);
	memcpy(made.address.sun_path, name, len);
	made.size = offsetof(struct sockaddr_un, sun_path) + len;
	if (name[0] == '@')
		made.address.sun_path[0] = '\0'; /* and the length says where it ends */
	else
		made.size++;
	made.fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (made.fd < 0)
		return error_set(err, -errno, "make a socket: %s", strerror(errno));
	*notify = made;
	return 0;
}

void notify_close(struct notify *notify)
{
	closep(&notify->fd);
}

/* Twice in the time that it gives us, as sd_watchdog_enabled(3) has it. 0: it gives us none. */
static uint64_t find_beat(void)
{
	const char *usec = getenv("WATCHDOG_USEC"), *pid = getenv("WATCHDOG_PID");
	uint64_t time, whose;

	if (!usec || str_to_u64(usec, &time) < 0 || !time)
		return 0;
	if (pid && (str_to_u64(pid, &whose) < 0 || whose != (uint64_t)getpid()))
		return 0;
	return time / 2000 + 1;
}

int notify_take(struct notify *notify, struct error *err)
{
	static const char *const ours[] = { "NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID" };
	const char *name = getenv(ours[0]);
	int ret = name && *name ? notify_open(notify, name, err) : 0;
	size_t i;

	if (name && *name && ret == 0)
		notify->beat_ms = find_beat();
	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++)
		unsetenv(ours[i]);
	return ret;
}

/* Not connected: a manager that has opened its socket anew is reached, too. */
int notify_send(const struct notify *notify, const char *lines)
{
	if (notify->fd < 0)
		return 0;
	if (sendto(notify->fd, lines, strlen(lines), MSG_NOSIGNAL | MSG_DONTWAIT,
		    (const struct sockaddr *)&notify->address, notify->size) < 0)
		return -errno;
	return 0;
}

void notify_refusal(const struct notify *notify, const char *sentence)
{
	char shown[SENTENCE_SHOWN];
	char line[SENTENCE_SHOWN + 32];

	str_printable(sentence, shown, sizeof(shown));
	snprintf(line, sizeof(line), "STATUS=not started: %s\n", shown);
	notify_send(notify, line);
}
