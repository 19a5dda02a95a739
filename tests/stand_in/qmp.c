/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "stand_in.h"

/* As much of QEMU's monitor as vmlatch asks for: one client, a command a line. */

static struct {
	int listener, client;
	char received[65536];
	size_t used;
	char status[32];
	char disk[256];
} monitor = { .listener = -1, .client = -1, .status = "running" };

void monitor_be(const char *status)
{
	snprintf(monitor.status, sizeof(monitor.status), "%s", status);
}

int monitor_connection(void)
{
	return monitor.client;
}

int monitor_fd(void)
{
	return monitor.client >= 0 ? monitor.client : monitor.listener;
}

void monitor_say(const char *line)
{
	if (monitor.client < 0)
		return;
	send(monitor.client, line, strlen(line), MSG_NOSIGNAL);
	send(monitor.client, "\r\n", 2, MSG_NOSIGNAL);
}

/* The file of vmlatch's that describes the monitor: fd = "N". */
static void read_config(const char *path)
{
	FILE *file = fopen(path, "r");
	char line[1024];

	while (file && fgets(line, sizeof(line), file)) {
		if (strncmp(line, "fd = \"", 6) == 0)
			monitor.listener = atoi(line + 6);
	}
	if (file)
		fclose(file);
}

/* As QEMU, which opens its images with its own descriptors. */
static void open_drive(const char *drive)
{
	const char *file = strstr(drive, "file=");

	if (!file)
		return;
	snprintf(monitor.disk, sizeof(monitor.disk), "%s", file + 5);
	monitor.disk[strcspn(monitor.disk, ",")] = '\0';
	if (open(monitor.disk, O_RDWR | O_CLOEXEC) < 0)
		perror(monitor.disk);
}

void monitor_start(char **argv)
{
	for (; *argv; argv++) {
		if (strcmp(*argv, "-S") == 0)
			monitor_be("prelaunch");
		else if (strcmp(*argv, "-readconfig") == 0 && argv[1])
			read_config(argv[1]);
		else if (strcmp(*argv, "-drive") == 0 && argv[1])
			open_drive(argv[1]);
	}
}

static bool is_running(void)
{
	return strcmp(monitor.status, "running") == 0;
}

/* One event for a change of the run state, as QEMU does before it answers. */
static void change_to(const char *status, const char *event)
{
	char line[128];

	if (strcmp(monitor.status, status) == 0)
		return;
	monitor_be(status);
	snprintf(line, sizeof(line),
		"{\"timestamp\": {\"seconds\": 1, \"microseconds\": 1}, \"event\": \"%s\"}", event);
	monitor_say(line);
}

/* false: it is not answered. */
static bool model(const char *command, char *ret, size_t size)
{
	if (strcmp(command, "query-status") == 0)
		snprintf(ret, size, "{\"status\": \"%s\", \"singlestep\": false, \"running\": %s}",
			monitor.status, is_running() ? "true" : "false");
	else if (strcmp(command, "query-named-block-nodes") == 0)
		snprintf(ret, size,
			"[{\"node-name\": \"#block100\", \"drv\": \"file\", \"file\": \"%s\", "
			"\"ro\": false}]",
			monitor.disk);
	else if (strcmp(command, "query-jobs") == 0 || strcmp(command, "query-block-exports") == 0)
		snprintf(ret, size, "[]");
	else
		snprintf(ret, size, "{}");
	if (strcmp(command, "cont") == 0)
		change_to("running", "RESUME");
	else if (strcmp(command, "stop") == 0)
		change_to("paused", "STOP");
	return strcmp(command, "quit") != 0; /* it has no mind to */
}

/* The text behind "key": in a command, up to a comma or a bracket; without quotes. */
static const char *member(const char *line, const char *key, char *ret, size_t size)
{
	const char *at = strstr(line, key);

	*ret = '\0';
	if (at) {
		at += strlen(key);
		at += strspn(at, ": \"");
		snprintf(ret, size, "%.*s", (int)strcspn(at, "\",}"), at);
	}
	return ret;
}

static void answer(const char *line)
{
	char command[64], id[64], value[512], text[700];

	member(line, "\"execute\"", command, sizeof(command));
	member(line, "\"id\"", id, sizeof(id));
	if (!model(command, value, sizeof(value)))
		return;
	snprintf(text, sizeof(text), *id ? "{\"return\": %s, \"id\": %s}" : "{\"return\": %s}",
		value, id);
	monitor_say(text);
}

static void answer_lines(void)
{
	char *end;

	while ((end = memchr(monitor.received, '\n', monitor.used))) {
		*end = '\0';
		answer(monitor.received);
		monitor.used -= end + 1 - monitor.received;
		memmove(monitor.received, end + 1, monitor.used);
	}
}

void monitor_turn(void)
{
	ssize_t n;

	if (monitor.client < 0) {
		monitor.client = accept4(monitor.listener, NULL, NULL, SOCK_CLOEXEC);
		monitor.used = 0;
		monitor_say("{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 2, "
			    "\"major\": 7}, \"package\": \"stand-in\"}, \"capabilities\": []}}");
		return;
	}
	n = recv(monitor.client, monitor.received + monitor.used,
		sizeof(monitor.received) - monitor.used, 0);
	if (n <= 0) {
		close(monitor.client);
		monitor.client = -1;
		return;
	}
	monitor.used += n;
	answer_lines();
}
