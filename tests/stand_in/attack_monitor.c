/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stand_in.h"

#define EVENT(name, data) \
	"{\"timestamp\": {\"seconds\": 1, \"microseconds\": 1}, \"event\": \"" name "\"" data "}"

static void close_monitor(const struct prey *prey)
{
	(void)prey;
	tried("shutdown", shutdown(monitor_connection(), SHUT_RDWR));
}

static void talk_nonsense(const struct prey *prey)
{
	(void)prey;
	monitor_say("{\"event\": [[[");
	tried("send", monitor_connection() < 0 ? -1 : 0);
}

/* An end that is none. */
static void say_shutdown(const struct prey *prey)
{
	(void)prey;
	monitor_say(
		EVENT("SHUTDOWN", ", \"data\": {\"guest\": true, \"reason\": \"guest-shutdown\"}"));
	tried("send", monitor_connection() < 0 ? -1 : 0);
}

/* Of no account, but the supervisor wakes. */
static void say_something(const struct prey *prey)
{
	(void)prey;
	monitor_say(EVENT("RTC_CHANGE", ", \"data\": {\"offset\": 1}"));
	tried("send", monitor_connection() < 0 ? -1 : 0);
}

/* The event alone: the run state says that the guest runs. */
static void say_stop(const struct prey *prey)
{
	(void)prey;
	monitor_say(EVENT("STOP", ""));
	tried("send", monitor_connection() < 0 ? -1 : 0);
}

const struct attack monitor_attacks[] = {
	{ "close-monitor", close_monitor },
	{ "nonsense", talk_nonsense },
	{ "say-shutdown", say_shutdown },
	{ "say-something", say_something },
	{ "say-stop", say_stop },
	{ NULL, NULL },
};
