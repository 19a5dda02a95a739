/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/environment.h"

#include <stddef.h>
#include <unistd.h>

#include "base/str.h"

/*
 * What a service manager tells its service (sd_notify(3), sd_listen_fds(3)), what
 * libuv listens to, and our own: a QEMU that was taken over could speak in the
 * service's name, and whatever it starts would take itself for the service.
 */
static const char *const ours[] = {
	"NOTIFY_SOCKET=",
	"WATCHDOG_USEC=",
	"WATCHDOG_PID=",
	"LISTEN_PID=",
	"LISTEN_FDS=",
	"LISTEN_FDNAMES=",
	"LISTEN_PIDFDID=",
	"UV_",
	"VMLATCH_",
};

bool environment_is_ours(const char *entry)
{
	size_t i;

	for (i = 0; i < sizeof(ours) / sizeof(ours[0]); i++) {
		if (str_starts(entry, ours[i]))
			return true;
	}
	return false;
}

void environment_clean(void)
{
	char **from, **to;

	for (from = to = environ; from && *from; from++) {
		if (!environment_is_ours(*from))
			*to++ = *from;
	}
	if (from)
		*to = NULL;
}
