/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "launcher/options.h"
#include "launcher/vm/rundir.h"

static bool is_plain(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
	       c == '.' || c == '_' || c == '-';
}

/* NULL, or that end of it which makes it the name of what another VM leaves behind. */
static const char *find_left_by_another(const char *name)
{
	static const char *const ends[] = { RUNDIR_LAST, RUNDIR_LAST_LOG };
	size_t i, len = strlen(name);

	for (i = 0; i < sizeof(ends) / sizeof(*ends); i++) {
		if (len >= strlen(ends[i]) && strcmp(name + len - strlen(ends[i]), ends[i]) == 0)
			return name + len - strlen(ends[i]);
	}
	return NULL;
}

bool vm_name_is_valid(const char *name)
{
	size_t i;

	if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0 || find_left_by_another(name))
		return false;
	for (i = 0; name[i]; i++) {
		if (!is_plain(name[i]) || i + 1 >= VM_NAME_SIZE)
			return false;
	}
	return i > 0;
}

void vm_name_escape(const char *text, char name[static VM_NAME_SIZE])
{
	bool only_dots = strcmp(text, ".") == 0 || strcmp(text, "..") == 0;
	size_t used = 0;
	const char *end;
	char piece[8];

	for (; *text; text++) {
		if (is_plain(*text) && !only_dots)
			snprintf(piece, sizeof(piece), "%c", *text);
		else
			snprintf(piece, sizeof(piece), "_%02X", (unsigned char)*text);
		if (used + strlen(piece) >= VM_NAME_SIZE)
			break;
		memcpy(name + used, piece, strlen(piece));
		used += strlen(piece);
	}
	if (!used)
		name[used++] = '_';
	name[used] = '\0';
	end = find_left_by_another(name);
	if (end)
		name[end - name] = '_'; /* an escape might not fit */
}

void vm_name_add_pid(char name[static VM_NAME_SIZE])
{
	char suffix[16];
	size_t len = strlen(name);
	size_t room = VM_NAME_SIZE - 1 - snprintf(suffix, sizeof(suffix), "-%d", getpid());

	if (len > room)
		len = room;
	snprintf(name + len, VM_NAME_SIZE - len, "%s", suffix);
}
