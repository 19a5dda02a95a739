/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "qmp/server.h"
#include "wire.h"

#define HELLO "{\"execute\":\"qmp_capabilities\"}"

/*
 * A server whose owner answers "now" at once, keeps "later" until the test
 * answers it, and fails all else.
 */
struct server_test {
	struct wire wire; /* far: the first client */
	struct qmp_server *server;
	char dir[32];
	char path[64];
	struct str log; /* the commands that the owner saw */
	struct qmp_request *kept[4];
	size_t n_kept;
	bool nobody_may;
	bool free_at_command;
};

/* Everybody may connect. */
extern const struct qmp_server_ops ops;
/* Asks the test's nobody_may. */
extern const struct qmp_server_ops asking_ops;

void begin(struct server_test *test, const struct qmp_server_ops *which);
void begin_negotiated(struct server_test *test);
void end(struct server_test *test);

void say(struct server_test *test, const char *text);

/* The next line is this, or has this part. */
void hear(struct server_test *test, const char *expected);
void hear_part(struct server_test *test, const char *part);
