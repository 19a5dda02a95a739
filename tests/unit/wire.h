/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <uv.h>

#include "base/clock.h"
#include "base/str.h"

/* For tests: a loop, and the far end of a socket that something on it talks to. */
struct wire {
	uv_loop_t loop;
	int near; /* to be given away */
	int far;
	struct str heard;
	struct str line;
};

#define WIRE_DEADLINE_MS 10000

/* Run the loop until it is so; a test that waits too long fails. */
#define RUN_UNTIL(loop, condition)                                        \
	do {                                                              \
		int64_t _end = clock_monotonic_ms() + WIRE_DEADLINE_MS;   \
		while (!(condition)) {                                    \
			assert_true(clock_monotonic_ms() < _end);         \
			if (!uv_run(loop, UV_RUN_NOWAIT) || !(condition)) \
				clock_sleep_ms(1);                        \
		}                                                         \
	} while (0)

void wire_open(struct wire *wire);

/* The loop must have nothing left when it has run; all is closed. */
void wire_close(struct wire *wire);

/* Say it all, while the loop runs. False: the other end has closed. */
bool wire_say_bytes(struct wire *wire, const char *bytes, size_t len);
bool wire_say(struct wire *wire, const char *text);

/* The next line, without its end; NULL: the other end has closed. */
const char *wire_hear(struct wire *wire);

/* Run the loop's rounds in which nothing is expected to happen. */
void wire_idle(struct wire *wire);

/* A further connection to a listening socket of the test's, like wire->far. */
int wire_connect(const char *path);
