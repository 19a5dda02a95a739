/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/doctor/probe.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "locking/record.h"

#define ATTRIBUTE "user.vmlatch"
#define MTIME_MS  2500 /* FAT has the coarsest: two seconds */
#define NS_PER_S  1000000000LL

int probe_names_make(struct probe_names *names)
{
	int ret = uuid_generate(names->token);

	snprintf(names->name, sizeof(names->name), ".vmlatch-doctor-%.36s", names->token);
	snprintf(names->other, sizeof(names->other), ".vmlatch-doctor-%.36s.2", names->token);
	return ret;
}

void probe_remove(const char *dir, const struct probe_names *names)
{
	int fd = open(dir, O_PATH | O_DIRECTORY | O_CLOEXEC);

	if (fd < 0)
		return;
	unlinkat(fd, names->name, 0);
	unlinkat(fd, names->other, 0);
	close(fd);
}

/* ext4 has one block for all attributes of a file, others have more. */
static void attribute_probe(int fd, struct probe_result *result)
{
	_cleanup_(freep) char *value = malloc(PROBE_ATTRIBUTE_MAX);
	_cleanup_(freep) char *back = malloc(PROBE_ATTRIBUTE_MAX);
	static const size_t sizes[] = { 256, 512, 1024, 2048, RECORD_TEXT_MAX, 4000, 8192, 16384,
		32768, PROBE_ATTRIBUTE_MAX };
	size_t i;

	if (!value || !back) {
		result->attribute_code = -ENOMEM;
		return;
	}
	memset(value, 'v', PROBE_ATTRIBUTE_MAX);
	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		size_t size = sizes[i];

		if (fsetxattr(fd, ATTRIBUTE, value, size, 0) < 0 ||
			fgetxattr(fd, ATTRIBUTE, back, size) != (ssize_t)size ||
			memcmp(value, back, size) != 0)
			break;
		result->attribute_bytes = size;
	}
	if (!result->attribute_bytes)
		result->attribute_code = errno ? -errno : -EIO;
	else if (fremovexattr(fd, ATTRIBUTE) < 0)
		result->attribute_code = -errno;
}

/* Write until the modification time is another one. 0: it is not, in time. */
static int64_t mtime_move(int fd, bool remote, int64_t deadline_ms)
{
	struct stat before, now;

	if (fstat(fd, &before) < 0)
		return 0;
	while (clock_monotonic_ms() < deadline_ms) {
		if (pwrite(fd, "m", 1, UUID_SIZE) != 1 || (remote && fdatasync(fd) < 0) ||
			fstat(fd, &now) < 0)
			return 0;
		if (now.st_mtim.tv_sec != before.st_mtim.tv_sec ||
			now.st_mtim.tv_nsec != before.st_mtim.tv_nsec)
			return (now.st_mtim.tv_sec - before.st_mtim.tv_sec) * NS_PER_S +
			       (now.st_mtim.tv_nsec - before.st_mtim.tv_nsec);
	}
	return 0;
}

/* From one step to the next: the first one only tells when steps begin. */
static int64_t mtime_probe(int fd, bool remote)
{
	int64_t deadline = clock_monotonic_ms() + MTIME_MS;
	int64_t first = mtime_move(fd, remote, deadline), second;

	if (first <= 0)
		return 0;
	second = mtime_move(fd, remote, deadline + MTIME_MS);
	return second > 0 ? second : first;
}

static uint32_t events_of(int watch)
{
	_Alignas(struct inotify_event) char bytes[4096];
	ssize_t n = read(watch, bytes, sizeof(bytes)), at;
	uint32_t seen = 0;

	for (at = 0; at < n;) {
		const struct inotify_event *event = (const void *)(bytes + at);

		seen |= event->mask;
		at += sizeof(*event) + event->len;
	}
	return seen;
}

/* Nothing of this waits: inotify tells in the call that makes the change, or never. */
static void inotify_probe(int dir, const struct probe_names *names, struct probe_result *result)
{
	const uint32_t wanted = IN_CREATE | IN_MOVED_FROM | IN_MOVED_TO | IN_DELETE;
	_cleanup_(closep) int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK), fd = -1;
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", dir);
	if (watch < 0 || inotify_add_watch(watch, path, wanted | IN_ONLYDIR) < 0) {
		result->inotify_code = -errno;
		return;
	}
	if (renameat(dir, names->name, dir, names->other) == 0 &&
		renameat(dir, names->other, dir, names->name) == 0)
		fd = openat(dir, names->other, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			0600);
	if (fd < 0) {
		result->inotify_code = -errno;
		return;
	}
	unlinkat(dir, names->other, 0);
	result->inotify_sees = (events_of(watch) & wanted) == wanted;
}

/* The second mount's directory is the same one only if our file is in it. */
static bool second_is_it(const char *file, int fd, const char *token)
{
	_cleanup_(closep) int through = open(file, O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	char text[UUID_SIZE] = "";
	struct stat here, there;

	if (through < 0 || fstat(through, &there) < 0 || fstat(fd, &here) < 0)
		return false;
	return here.st_ino == there.st_ino &&
	       pread(through, text, UUID_SIZE - 1, 0) == UUID_SIZE - 1 && strcmp(text, token) == 0;
}

static void second_try(const struct probe_place *place, const struct probe_names *names, int fd,
	const struct mount *other, struct probe_result *result)
{
	_cleanup_(freep) char *path = NULL, *file = NULL;

	if (mount_path_through(place->mount, place->path, other, &path) <= 0)
		return;
	if (asprintf(&file, "%s/%s", path, names->name) < 0) {
		file = NULL;
		return;
	}
	if (!second_is_it(file, fd, names->token))
		return;
	result->second = lock_trials_run(fd, file);
	result->second_path = take_ptr(path);
}

static void second_probe(const struct probe_place *place, const struct probe_names *names, int fd,
	struct probe_result *result)
{
	size_t i;

	for (i = 0; place->mount && i < place->mounts->n && !result->second_path; i++)
		second_try(place, names, fd, &place->mounts->items[i], result);
}

static void file_probe(const struct probe_place *place, const struct probe_names *names, int fd,
	struct probe_result *result)
{
	_cleanup_(freep) char *file = NULL;

	if (asprintf(&file, "/proc/self/fd/%d/%s", place->fd, names->name) < 0) {
		file = NULL;
		result->locks.code = -ENOMEM;
		return;
	}
	result->write_code = fd_write_all(fd, names->token, UUID_SIZE - 1);
	result->locks = lock_trials_run(fd, file); /* on a full disk too */
	if (result->write_code == 0)
		second_probe(place, names, fd, result);
	attribute_probe(fd, result);
	if (result->write_code == 0)
		result->mtime_ns =
			mtime_probe(fd, place->mount && strchr(place->mount->source, ':'));
}

void probe_run(
	const struct probe_place *place, const struct probe_names *names, struct probe_result *ret)
{
	_cleanup_(closep) int fd = openat(
		place->fd, names->name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);

	*ret = (struct probe_result){ 0 };
	if (fd < 0) {
		ret->code = -errno;
		return;
	}
	file_probe(place, names, fd, ret);
	inotify_probe(place->fd, names, ret);
	unlinkat(place->fd, names->name, 0);
	unlinkat(place->fd, names->other, 0);
}

void probe_result_finish(struct probe_result *result)
{
	free(result->second_path);
}
