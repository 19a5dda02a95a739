/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/libvirt.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"

#define TEXT_MAX (1 << 20)

/* qemuBuildMonitorCommandLine() in src/qemu/qemu_command.c, from 0.8.0 to 11 */
static const char its_monitor[] = "chardev=charmonitor,id=monitor,mode=control";

static bool has_called(char **argv)
{
	for (; argv[0]; argv++) {
		if (strcmp(argv[0], "-mon") == 0 && argv[1] && strcmp(argv[1], its_monitor) == 0)
			return true;
	}
	return false;
}

static int read_text(const char *root, const char *path, char **ret)
{
	_cleanup_(freep) char *whole = NULL;

	if (asprintf(&whole, "%s%s", root, path) < 0)
		return -ENOMEM;
	return file_read_at(AT_FDCWD, whole, 0, TEXT_MAX, ret, NULL);
}

/* The value of 'lock_manager = "NAME"' in a line, cut off there; NULL: another line. */
static char *manager_in(char *line)
{
	static const char key[] = "lock_manager";
	char *end;

	line += strspn(line, " \t");
	if (!str_starts(line, key))
		return NULL;
	line += strlen(key);
	line += strspn(line, " \t=");
	if (*line != '"' && *line != '\'')
		return NULL;
	end = strchr(line + 1, *line);
	if (!end)
		return NULL;
	*end = '\0';
	return line + 1;
}

static int add_known(char *text, struct strv *warnings)
{
	_cleanup_(freep) char *sentence = NULL;
	char *manager = NULL, *line, *found;

	while ((line = strsep(&text, "\n"))) {
		found = manager_in(line);
		manager = found ? found : manager;
	}
	if (!manager || strcmp(manager, "nop") == 0)
		return 0;
	if (asprintf(&sentence,
		    "libvirt's qemu.conf has lock_manager = \"%s\", which cannot lock what vmlatch "
		    "has "
		    "locked: the domain will not start ('resource busy') until that is \"nop\"",
		    manager) < 0)
		return -ENOMEM;
	return strv_add(warnings, sentence);
}

/* Its pid file, and a live process of that name. */
static bool virtlockd_runs(const char *root)
{
	_cleanup_(freep) char *pid = NULL;
	_cleanup_(freep) char *comm = NULL;
	char path[64];

	if (read_text(root, "/run/virtlockd.pid", &pid) < 0)
		return false;
	snprintf(path, sizeof(path), "/proc/%d/comm", atoi(pid));
	return file_read_at(AT_FDCWD, path, 0, 64, &comm, NULL) == 0 &&
	       strcmp(comm, "virtlockd\n") == 0;
}

int libvirt_look(char **argv, const char *root, struct strv *warnings)
{
	_cleanup_(freep) char *text = NULL;
	int ret;

	if (!has_called(argv))
		return 0;
	ret = read_text(root, "/etc/libvirt/qemu.conf", &text);
	if (ret == 0)
		return add_known(text, warnings);
	if (ret == -ENOMEM || !virtlockd_runs(root))
		return ret == -ENOMEM ? ret : 0;
	return strv_add(warnings, "virtlockd runs: if libvirt's qemu.conf has lock_manager = "
				  "\"lockd\", it cannot lock "
				  "what vmlatch has locked, and the domain will not start "
				  "('resource busy') until that "
				  "is \"nop\"");
}
