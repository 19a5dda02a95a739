/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/clock.h"

#include <errno.h>
#include <stdio.h>
#include <time.h>

int64_t clock_monotonic_ms(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

int64_t clock_realtime_s(void)
{
	struct timespec now;

	clock_gettime(CLOCK_REALTIME, &now);
	return now.tv_sec;
}

const char *clock_text(int64_t epoch_s, char text[static CLOCK_TEXT_SIZE])
{
	time_t when = epoch_s;
	struct tm broken_down;

	if (!localtime_r(&when, &broken_down) ||
		!strftime(text, CLOCK_TEXT_SIZE, "%Y-%m-%d %H:%M", &broken_down))
		snprintf(text, CLOCK_TEXT_SIZE, "an unknown time");
	return text;
}

void clock_sleep_ms(int64_t ms)
{
	struct timespec left = { .tv_sec = ms / 1000, .tv_nsec = ms % 1000 * 1000000 };

	while (clock_nanosleep(CLOCK_MONOTONIC, 0, &left, &left) == EINTR)
		;
}
