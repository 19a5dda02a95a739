/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

/* Milliseconds of CLOCK_MONOTONIC: for deadlines. */
int64_t clock_monotonic_ms(void);

/* Seconds since the epoch: for records that other hosts read. */
int64_t clock_realtime_s(void);

/* "2026-11-22 10:14" in local time; for people. */
#define CLOCK_TEXT_SIZE 32
const char *clock_text(int64_t epoch_s, char text[static CLOCK_TEXT_SIZE]);

/* Sleep in a process that has no event loop yet (a child before exec, a test). */
void clock_sleep_ms(int64_t ms);
