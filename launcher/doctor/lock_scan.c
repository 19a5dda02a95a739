/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/doctor/lock_scan.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"
#include "launcher/doctor/lock_judge.h"
#include "locking/file_lock.h"

#define NAMES_MAX  20000
#define SCAN_MS    2000
#define SHOWN_SIZE 600

struct walk {
	struct lock_scan scan;
	struct findings *findings;
	struct lock_view_point from;
	char boot_id[BOOT_ID_SIZE];
	size_t left;
	int64_t deadline;
};

/* What can be read of it without waiting for anybody. */
static void content_look(int fd, struct lock_seen *seen)
{
	char text[RECORD_TEXT_MAX + 1];
	/* what has no size and yet a content is the kernel's (/proc) */
	ssize_t len = seen->info.st_size ? fd_read_all(fd, text, sizeof(text)) : 0;

	seen->content = len < 0 ? LOCK_CONTENT_UNSEEN : lock_content_of(text, len, &seen->record);
}

static void lock_look(int fd, struct lock_seen *seen)
{
	enum resource_mode mode;
	struct flock lock;
	int met = file_lock_look(fd, &mode, &lock);

	seen->held = met == 1;
	seen->lockless = met < 0;
}

static void record_look(const struct walk *walk, struct lock_seen *seen)
{
	const struct lock_owner *owner = &seen->record.owner;

	if (seen->content != LOCK_CONTENT_RECORD)
		return;
	seen->same_boot = *walk->boot_id && str_equal(owner->boot_id, walk->boot_id);
	seen->alive = seen->same_boot && process_is_alive(owner->pid, owner->start_time);
}

/*
 * Only what is a plain file is opened. (In between it may have become something
 * else: O_NONBLOCK and O_NOFOLLOW wait for nobody and follow nothing.) What is held
 * is looked at after the record, and a record again after that: one that was just
 * given back says so by then.
 */
static void file_look(const struct walk *walk, int dir, const char *name, struct lock_seen *seen)
{
	_cleanup_(closep) int fd = -1;

	if (!S_ISREG(seen->info.st_mode))
		return;
	if (seen->name == LOCK_NAME_LEASE && seen->info.st_size > RECORD_TEXT_MAX + 1)
		return; /* no lease of ours: an image, or whatever else lies about */
	fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	if (fd < 0)
		return;
	lock_look(fd, seen);
	content_look(fd, seen);
	if (lock_is_stale(seen) && fstat(fd, &seen->info) == 0 && lseek(fd, 0, SEEK_SET) == 0) {
		lock_look(fd, seen);
		content_look(fd, seen);
	}
	record_look(walk, seen);
}

static void seen_count(struct walk *walk, const struct lock_seen *seen)
{
	walk->scan.n++;
	walk->scan.held += seen->held;
	walk->scan.stale += lock_is_stale(seen);
	lock_judge(seen, &walk->from, walk->findings);
}

/* Is there more to look at, and time for it? */
static bool walk_goes_on(struct walk *walk)
{
	if (walk->left && clock_monotonic_ms() < walk->deadline) {
		walk->left--;
		return true;
	}
	walk->scan.cut = true;
	return false;
}

static DIR *directory_open(int at, const char *name)
{
	_cleanup_(closep) int fd =
		openat(at, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);

	if (dir)
		take_fd(&fd);
	return dir;
}

/* Any name may be a lease's, so only a record tells, or that somebody has it locked. */
static bool is_lease(const struct lock_seen *seen)
{
	return seen->held || seen->content == LOCK_CONTENT_RECORD ||
	       seen->content == LOCK_CONTENT_GARBLED;
}

static void leases_scan(struct walk *walk, int at, const char *space, const struct stat *info)
{
	_cleanup_(closedirp) DIR *dir = directory_open(at, space);
	uid_t above = walk->from.directory_uid;
	char shown[SHOWN_SIZE], path[SHOWN_SIZE];
	struct dirent *entry;

	walk->from.directory_uid = info->st_uid;
	while (dir && (entry = readdir(dir)) && walk_goes_on(walk)) {
		struct lock_seen seen = { .path = shown, .name = LOCK_NAME_LEASE };

		if (entry->d_name[0] == '.' ||
			fstatat(dirfd(dir), entry->d_name, &seen.info, AT_SYMLINK_NOFOLLOW) < 0)
			continue;
		snprintf(path, sizeof(path), "%s/%s", space, entry->d_name);
		str_printable(path, shown, sizeof(shown));
		file_look(walk, dirfd(dir), entry->d_name, &seen);
		if (is_lease(&seen))
			seen_count(walk, &seen);
	}
	walk->from.directory_uid = above;
}

static void name_look(struct walk *walk, int dir, const char *name)
{
	char shown[SHOWN_SIZE];
	struct lock_seen seen = { .path = shown, .name = lock_name_of(name) };

	if (*name == '.' || fstatat(dir, name, &seen.info, AT_SYMLINK_NOFOLLOW) < 0)
		return;
	if (seen.name == LOCK_NAME_NONE) {
		if (S_ISDIR(seen.info.st_mode))
			leases_scan(walk, dir, name, &seen.info);
		return;
	}
	str_printable(name, shown, sizeof(shown));
	file_look(walk, dir, name, &seen);
	seen_count(walk, &seen);
}

int lock_scan_run(int dir, struct findings *findings, struct lock_scan *ret)
{
	_cleanup_(closedirp) DIR *entries = directory_open(dir, ".");
	struct walk walk = {
		.findings = findings,
		.from = { .uid = geteuid() },
		.left = NAMES_MAX,
		.deadline = clock_monotonic_ms() + SCAN_MS,
	};
	struct dirent *entry;
	struct stat info;

	if (!entries || fstat(dir, &info) < 0)
		return -errno;
	walk.from.directory_uid = info.st_uid;
	process_boot_id(walk.boot_id); /* without it every record is another host's */
	while ((entry = readdir(entries)) && walk_goes_on(&walk))
		name_look(&walk, dirfd(entries), entry->d_name);
	*ret = walk.scan;
	return 0;
}
