/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>
#include <sys/socket.h>
#include <sys/un.h>

#include "base/error.h"

/* systemd passes over a longer datagram, and with it the READY=1 in there (core/manager.c: 252). */
#define NOTIFY_MAX 4096

/*
 * The service manager's notification socket: datagrams of VARIABLE=VALUE lines to
 * what NOTIFY_SOCKET names, as sd_notify(3) has it. Nothing here blocks.
 */
struct notify {
	int fd; /* -1: nobody wants to know */
	struct sockaddr_un address;
	socklen_t size;
	uint64_t beat_ms; /* how often WATCHDOG=1 is due; 0: never */
};
#define NOTIFY_INIT      \
	{                \
		.fd = -1 \
	}

/*
 * @name	an absolute path, or '@' and a name in the abstract name space
 *
 * Returns 0 or -errno with a sentence.
 */
int notify_open(struct notify *notify, const char *name, struct error *err);
void notify_close(struct notify *notify);

/*
 * The socket of the environment, if there is one. What is ours alone is taken out of
 * there: QEMU, and whom it starts, must not speak for us.
 *
 * Returns 0 (also if there is none) or -errno with a sentence.
 */
int notify_take(struct notify *notify, struct error *err);

/* 0 (also if nobody wants to know) or -errno; -EAGAIN: its queue is full, try again. */
int notify_send(const struct notify *notify, const char *lines);

/*
 * STATUS= alone, for a VM that was not started: why, made one line. What cannot be
 * delivered is passed over.
 */
void notify_refusal(const struct notify *notify, const char *sentence);
