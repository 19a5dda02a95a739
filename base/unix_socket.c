/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "base/unix_socket.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"

#define BACKLOG          16
#define LOCK_PATIENCE_MS 1000
#define LOCK_PAUSE_MS    5

struct address {
	struct sockaddr_un un;
	int dir; /* what the address goes through, or -1 */
};

static void address_finish(struct address *address)
{
	closep(&address->dir);
}

static int too_long(const char *name, struct error *err)
{
	return error_set(err, -ENAMETOOLONG, "socket name %s is longer than %zu characters", name,
		sizeof(((struct sockaddr_un *)0)->sun_path) - 1);
}

/* NULL: no memory. */
static char *parent_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	if (!slash)
		return strdup(".");
	return strndup(path, slash == path ? 1 : slash - path);
}

static int address_find(const char *path, struct address *ret, struct error *err)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	_cleanup_(freep) char *parent = NULL;
	const char *slash = strrchr(path, '/');
	int dir, n;

	if (strlen(path) < sizeof(un.sun_path)) {
		memcpy(un.sun_path, path, strlen(path) + 1);
		*ret = (struct address){ .un = un, .dir = -1 };
		return 0;
	}
	if (!slash)
		return too_long(path, err);
	parent = parent_of(path);
	if (!parent)
		return error_set(err, -ENOMEM, "out of memory");
	dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_set(err, -errno, "open directory %s: %s", parent, strerror(errno));
	n = snprintf(un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%s", dir, slash + 1);
	if ((size_t)n >= sizeof(un.sun_path)) {
		close(dir);
		return too_long(slash + 1, err);
	}
	*ret = (struct address){ .un = un, .dir = dir };
	return 0;
}

static int open_socket(struct error *err)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return fd < 0 ? error_set(err, -errno, "make a socket: %s", strerror(errno)) : fd;
}

static int connect_to(const struct address *address, struct error *err)
{
	static const struct timeval patience = { .tv_sec = 5 };
	_cleanup_(closep) int fd = open_socket(err);

	if (fd < 0)
		return fd;
	/* a listener that hangs with a full queue must not hang us; later sends neither */
	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	while (connect(fd, (const struct sockaddr *)&address->un, sizeof(address->un)) < 0) {
		if (errno != EINTR)
			return -errno;
	}
	return take_fd(&fd);
}

int unix_socket_connect(const char *path, struct error *err)
{
	_cleanup_(address_finish) struct address address = { .dir = -1 };
	int fd = address_find(path, &address, err);

	if (fd < 0)
		return fd;
	fd = connect_to(&address, err);
	return fd < 0 ? error_set(err, fd, "connect to %s: %s", path, strerror(-fd)) : fd;
}

/*
 * Where a socket is to be made. Who may write to a directory above can put another
 * one in its place at any moment, so what is looked at, removed and found afterwards
 * is in this one. Only bind() is told the path, which others shall see (ss -x).
 */
struct spot {
	const char *path;
	const char *name;
	int dir;
};

static void spot_finish(struct spot *spot)
{
	closep(&spot->dir);
}

static int spot_open(const char *path, struct spot *ret, struct error *err)
{
	_cleanup_(freep) char *parent = parent_of(path);
	const char *slash = strrchr(path, '/');
	int dir;

	if (!parent)
		return error_set(err, -ENOMEM, "out of memory");
	dir = open(parent, O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (dir < 0)
		return error_set(
			err, -errno, "listen at %s: its directory: %s", path, strerror(errno));
	*ret = (struct spot){ path, slash ? slash + 1 : path, dir };
	return 0;
}

/* What is at its name: 0, or -errno. */
static int spot_look(const struct spot *spot, struct stat *ret)
{
	return fstatat(spot->dir, spot->name, ret, AT_SYMLINK_NOFOLLOW) < 0 ? -errno : 0;
}

/* By its directory, if an address can hold that. */
static void spot_address(const struct spot *spot, struct address *address)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int n = snprintf(
		un.sun_path, sizeof(un.sun_path), "/proc/self/fd/%d/%s", spot->dir, spot->name);

	if ((size_t)n < sizeof(un.sun_path))
		address->un = un;
}

/* Make room for a socket: one without a listener was left behind by the dead. */
static int way_clear(const struct spot *spot, const struct address *address, struct error *err)
{
	struct address there = { .un = address->un, .dir = -1 };
	const char *path = spot->path;
	struct stat info;
	int fd;

	if (spot_look(spot, &info) < 0)
		return 0; /* if it is more than absence, bind says so */
	if (!S_ISSOCK(info.st_mode))
		return error_set(err, -EADDRINUSE,
			"listen at %s: something else is there, which is no socket", path);
	spot_address(spot, &there);
	fd = connect_to(&there, NULL);
	if (fd >= 0)
		close(fd);
	if (fd != -ECONNREFUSED)
		return error_set(
			err, -EADDRINUSE, "listen at %s: somebody else listens there", path);
	unlinkat(spot->dir, spot->name, 0);
	return 0;
}

static int listen_at(const struct spot *spot, const struct address *address,
	struct unix_socket_file *made, struct error *err)
{
	_cleanup_(closep) int fd = open_socket(err);
	struct stat info;

	if (fd < 0)
		return fd;
	/* the file that bind() makes has the socket's own mode: no moment with another one */
	if (fchmod(fd, 0600) < 0 ||
		bind(fd, (const struct sockaddr *)&address->un, sizeof(address->un)) < 0)
		return -errno;
	/* elsewhere somebody else could have it, or what is beside it */
	if (spot_look(spot, &info) < 0 || !S_ISSOCK(info.st_mode) || info.st_uid != geteuid())
		return -ESTALE;
	if (listen(fd, BACKLOG) < 0)
		return -errno;
	if (made)
		*made = (struct unix_socket_file){ .dev = info.st_dev, .ino = info.st_ino };
	return take_fd(&fd);
}

/*
 * One at a time: of two who find a socket of the dead the second would take away what
 * the first has made in its place, and so would who comes between bind and listen.
 * Who cannot have the lock (no right to read the directory, or somebody keeps it)
 * goes on without: nobody else shall be able to hinder a start.
 *
 * Returns the descriptor that holds it, or -1.
 */
static int directory_lock(const char *path)
{
	int64_t deadline = clock_monotonic_ms() + LOCK_PATIENCE_MS;
	_cleanup_(freep) char *parent = parent_of(path);
	int fd = parent ? open(parent, O_RDONLY | O_DIRECTORY | O_CLOEXEC) : -1;

	while (fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK || clock_monotonic_ms() >= deadline)
			break;
		clock_sleep_ms(LOCK_PAUSE_MS);
	}
	return fd;
}

int unix_socket_listen(const char *path, struct unix_socket_file *made, struct error *err)
{
	_cleanup_(address_finish) struct address address = { .dir = -1 };
	_cleanup_(spot_finish) struct spot spot = { .name = "", .dir = -1 };
	_cleanup_(closep) int lock = directory_lock(path);
	int ret;

	ret = spot_open(path, &spot, err);
	if (ret == 0)
		ret = address_find(path, &address, err);
	if (ret == 0)
		ret = way_clear(&spot, &address, err);
	if (ret < 0)
		return ret;
	ret = listen_at(&spot, &address, made, err);
	if (ret == -ESTALE)
		return error_set(err, ret, "listen at %s: its directory was replaced", path);
	return ret < 0 ? error_set(err, ret, "listen at %s: %s", path, strerror(-ret)) : ret;
}

void unix_socket_remove(const char *path, const struct unix_socket_file *made)
{
	_cleanup_(spot_finish) struct spot spot = { .name = "", .dir = -1 };
	struct stat info;

	if (!made->ino || spot_open(path, &spot, NULL) < 0 || spot_look(&spot, &info) < 0)
		return;
	if (info.st_dev == made->dev && info.st_ino == made->ino)
		unlinkat(spot.dir, spot.name, 0);
}
