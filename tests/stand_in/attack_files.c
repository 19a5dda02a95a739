/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "stand_in.h"

/* What lies in the run directory, and the image's own names and attributes. */

static const char *in_rundir(const struct prey *prey, const char *name)
{
	static char path[512];

	snprintf(path, sizeof(path), "%s/%s", prey->rundir, name);
	return path;
}

static long write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	long ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text));
	close(fd);
	return ret;
}

/* A VM that has ended, of another disk and of another process. */
static void write_state(const struct prey *prey)
{
	tried("state.json",
		write_file(in_rundir(prey, "state.json"),
			"{\"version\": 1, \"ended\": true, \"lock-state\": \"released\", "
			"\"qemu\": {\"pid\": 1, \"start-time\": 1}}"));
	tried("damaged", write_file(in_rundir(prey, "state.json"), "{\"version\": [[[["));
}

static void write_lock_file(const struct prey *prey)
{
	int fd = open(in_rundir(prey, "lock"), O_RDWR | O_CLOEXEC);

	tried("open", fd);
	tried("lock", fd < 0 ? -1 : set_lock(fd, F_OFD_SETLK, F_WRLCK, 0, 0));
	tried("unlock", fd < 0 ? -1 : set_lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0));
	tried("write", write_file(in_rundir(prey, "lock"), "1\n"));
	close(fd);
}

static void write_log(const struct prey *prey)
{
	tried("log", write_file(in_rundir(prey, "log"), "\033[2J"));
}

static void remove_files(const struct prey *prey)
{
	static const char *const names[] = { "state.json", "lock", "qmp.sock", "monitor.sock" };
	size_t i;

	for (i = 0; i < sizeof(names) / sizeof(names[0]); i++)
		tried(names[i], unlink(in_rundir(prey, names[i])));
}

static void move_directory(const struct prey *prey)
{
	char away[300];

	snprintf(away, sizeof(away), "%s.away", prey->rundir);
	tried("rename", rename(prey->rundir, away));
	tried("mkdir", mkdir(prey->rundir, 0700));
}

static void connect_to_us(const struct prey *prey)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), i;

	if (snprintf(address.sun_path, sizeof(address.sun_path), "%.90s/qmp.sock", prey->rundir) <
		0)
		return;
	if (tried("connect", connect(fd, (struct sockaddr *)&address, sizeof(address))) == 0) {
		for (i = 0; i < 1000; i++)
			send(fd, "{\"execute\": [[[\r\n\377\0{", 20, MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	close(fd);
}

static void forge_record(const struct prey *prey)
{
	tried("removexattr", removexattr(prey->disk, "user.vmlatch"));
	tried("setxattr", setxattr(prey->disk, "user.vmlatch", "\0\377not held\n", 12, 0));
}

static void truncate_disk(const struct prey *prey)
{
	tried("truncate", truncate(prey->disk, 0));
}

/* By another name it is the same disk; both names stay for who looks. */
static void link_disk(const struct prey *prey)
{
	char other[300];

	snprintf(other, sizeof(other), "%s.link", prey->disk);
	tried("link", link(prey->disk, other));
}

static void rename_disk(const struct prey *prey)
{
	char other[300];

	snprintf(other, sizeof(other), "%s.moved", prey->disk);
	tried("rename", rename(prey->disk, other));
}

const struct attack file_attacks[] = {
	{ "state-file", write_state },
	{ "lock-file", write_lock_file },
	{ "log", write_log },
	{ "remove-files", remove_files },
	{ "move-directory", move_directory },
	{ "qmp-socket", connect_to_us },
	{ "record", forge_record },
	{ "truncate", truncate_disk },
	{ "link", link_disk },
	{ "rename", rename_disk },
	{ NULL, NULL },
};
