/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "locking/file_lock.h"

#include <errno.h>
#include <linux/magic.h>
#include <stdio.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "base/clock.h"
#include "locking/fdinfo.h"
#include "locking/lock_driver.h"

enum {
	BYTE_LIFE = 0,
	BYTE_GUARD = 2,
	BYTE_SHARED = 3,
	BYTE_READER = 4,
	BYTE_PART_WRITER = 5,
	BYTE_PART_READER = 6,
	BYTE_LAST = BYTE_PART_READER,
	BYTE_NONE = -1,
};

static const off_t line_bytes[] = {
	[FILE_LINE_LIFE] = BYTE_LIFE,
	[FILE_LINE_GUARD] = BYTE_GUARD,
};

#define N_OTHERS 3

/*
 * @own		the byte of those who share in this way
 * @others	the bytes of those who share in ways that do not go with it
 * @patience_ms	when two sharers of different kinds meet, each may see the
 *		other's byte; this long a kind waits for the other to step back
 */
static const struct {
	short type;
	off_t own;
	off_t others[N_OTHERS];
	int patience_ms;
} uses[FILE_N_USES] = {
	[FILE_USE_READER] = { F_RDLCK, BYTE_READER, { BYTE_SHARED, BYTE_PART_WRITER, BYTE_NONE },
		0 },
	[FILE_USE_SHARED] = { F_RDLCK, BYTE_SHARED,
		{ BYTE_READER, BYTE_PART_WRITER, BYTE_PART_READER }, 40 },
	[FILE_USE_EXCLUSIVE] = { F_WRLCK, BYTE_NONE, { BYTE_NONE, BYTE_NONE, BYTE_NONE }, 0 },
	[FILE_USE_PART_READER] = { F_RDLCK, BYTE_PART_READER, { BYTE_SHARED, BYTE_NONE, BYTE_NONE },
		0 },
	[FILE_USE_PART_WRITER] = { F_RDLCK, BYTE_PART_WRITER,
		{ BYTE_SHARED, BYTE_READER, BYTE_NONE }, 20 },
};

bool file_use_writes(enum file_use use)
{
	return uses[use].type == F_WRLCK || use == FILE_USE_PART_WRITER;
}

bool file_use_marks(enum file_use use)
{
	return file_use_writes(use) || use == FILE_USE_SHARED;
}

static int byte_set(int fd, short type, off_t byte)
{
	struct flock want = { .l_type = type, .l_whence = SEEK_SET, .l_start = byte, .l_len = 1 };

	if (TEMP_FAILURE_RETRY(fcntl(fd, F_OFD_SETLK, &want)) == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? LOCK_BUSY : -errno;
}

/* 1 if a lock of @type would meet one of somebody else (@ret), 0 or -errno. */
static int range_test(int fd, short type, off_t first, off_t n, struct flock *ret)
{
	*ret = (struct flock){ .l_type = type, .l_whence = SEEK_SET, .l_start = first, .l_len = n };
	if (TEMP_FAILURE_RETRY(fcntl(fd, F_OFD_GETLK, ret)) < 0)
		return -errno;
	return ret->l_type != F_UNLCK;
}

static int byte_test(int fd, short type, off_t byte, struct flock *ret)
{
	return range_test(fd, type, byte, 1, ret);
}

/*
 * A shared disk of libvirt's has no class byte, but a POSIX lock, which ours are
 * not: it is a writer, since virtlockd locks nothing for readers. Of several locks
 * the kernel names the oldest, so behind a reader of ours it is not seen.
 */
static int virtlockd_writer_test(int fd, struct flock *ret)
{
	struct flock lock;
	int met = byte_test(fd, F_WRLCK, BYTE_LIFE, &lock);

	if (met <= 0 || lock.l_pid <= 0)
		return met < 0 ? met : 0;
	*ret = lock;
	return 1;
}

/* As byte_test(), of those whose way of sharing does not go with this use. */
static int others_test(int fd, enum file_use use, struct flock *ret)
{
	int i, met = 0;

	for (i = 0; i < N_OTHERS && met == 0; i++) {
		if (uses[use].others[i] != BYTE_NONE)
			met = byte_test(fd, F_WRLCK, uses[use].others[i], ret);
	}
	return met == 0 && use == FILE_USE_READER ? virtlockd_writer_test(fd, ret) : met;
}

static int class_test(int fd, enum file_use use)
{
	int left_ms = uses[use].patience_ms;
	struct flock other;
	int ret;

	for (;;) {
		ret = others_test(fd, use, &other);
		if (ret <= 0)
			return ret;
		if (left_ms-- <= 0)
			return LOCK_BUSY;
		clock_sleep_ms(1);
	}
}

int file_lock_take(int fd, enum file_line line, enum file_use use)
{
	int ret = byte_set(fd, uses[use].type, line_bytes[line]);

	if (ret != 0 || uses[use].own == BYTE_NONE)
		return ret;
	ret = byte_set(fd, F_RDLCK, uses[use].own);
	if (ret == 0)
		ret = class_test(fd, use);
	if (ret != 0)
		file_lock_drop(fd, line, use);
	return ret;
}

int file_lock_drop(int fd, enum file_line line, enum file_use use)
{
	int ret = 0;

	if (uses[use].own != BYTE_NONE)
		ret = byte_set(fd, F_UNLCK, uses[use].own);
	return ret ? ret : byte_set(fd, F_UNLCK, line_bytes[line]);
}

int file_lock_conflict(int fd, enum file_use use, struct flock *ret)
{
	/* nearly always nobody has any of them, nor those in between */
	int met = range_test(fd, F_WRLCK, BYTE_LIFE, BYTE_LAST + 1, ret);

	if (met <= 0)
		return met;
	met = byte_test(fd, uses[use].type, BYTE_LIFE, ret);
	if (met == 0)
		met = byte_test(fd, uses[use].type, BYTE_GUARD, ret);
	return met == 0 ? others_test(fd, use, ret) : met;
}

int file_lock_look(int fd, enum resource_mode *ret, struct flock *lock)
{
	int met = file_lock_conflict(fd, FILE_USE_EXCLUSIVE, lock);
	struct flock class;

	if (met <= 0)
		return met;
	if (lock->l_type == F_WRLCK)
		*ret = RESOURCE_EXCLUSIVE;
	else if (byte_test(fd, F_WRLCK, BYTE_READER, &class) == 1)
		*ret = RESOURCE_READER;
	else /* libvirt's shared disks lock byte 0 and no class */
		*ret = RESOURCE_SHARED;
	return 1;
}

/* Of this process, as the kernel lists its locks. 1, 0 or -errno. */
static int line_is_listed(int fd, off_t line, enum file_use use)
{
	char name[64], text[FDINFO_MAX];
	int ret;

	snprintf(name, sizeof(name), "/proc/self/fdinfo/%d", fd);
	ret = fdinfo_read(AT_FDCWD, name, text);
	if (ret < 0)
		return ret;
	if (fdinfo_lock_type(text, line) != uses[use].type)
		return 0;
	return uses[use].own == BYTE_NONE || fdinfo_lock_type(text, uses[use].own) == F_RDLCK;
}

/* A program behind FUSE may keep locks itself: then the kernel lists none. 1, 0 or -errno. */
static int locks_may_be_unlisted(int fd)
{
	struct statfs info;

	if (fstatfs(fd, &info) < 0)
		return -errno;
	return info.f_type == FUSE_SUPER_MAGIC;
}

/* Somebody has it, as @other is told; and who takes again what is his is not refused. */
static int byte_is_mine(int fd, int other, short type, off_t byte)
{
	struct flock lock;
	int ret = byte_test(other, F_WRLCK, byte, &lock);

	if (ret <= 0)
		return ret;
	ret = byte_set(fd, type, byte);
	return ret < 0 ? ret : ret == 0;
}

int file_lock_is_held(const int fds[static FILE_N_LINES], enum file_line line, enum file_use use)
{
	int fd = fds[line], other = fds[!line];
	int ret = line_is_listed(fd, line_bytes[line], use);

	if (ret != 0)
		return ret;
	ret = locks_may_be_unlisted(fd);
	if (ret == 1)
		ret = byte_is_mine(fd, other, uses[use].type, line_bytes[line]);
	if (ret == 1 && uses[use].own != BYTE_NONE)
		ret = byte_is_mine(fd, other, F_RDLCK, uses[use].own);
	return ret;
}

bool file_lock_is_in_the_way(const char *fdinfo, enum file_use use)
{
	int life = fdinfo_lock_type(fdinfo, BYTE_LIFE);
	int guard = fdinfo_lock_type(fdinfo, BYTE_GUARD);
	int i;

	if (life == F_WRLCK || guard == F_WRLCK)
		return true;
	if (uses[use].type == F_WRLCK)
		return life != F_UNLCK || guard != F_UNLCK;
	for (i = 0; i < N_OTHERS; i++) {
		if (uses[use].others[i] != BYTE_NONE &&
			fdinfo_lock_type(fdinfo, uses[use].others[i]) != F_UNLCK)
			return true;
	}
	return false;
}

bool file_lock_is_unsupported(int err)
{
	return err == -ENOLCK || err == -EOPNOTSUPP || err == -ENOSYS || err == -EINVAL;
}
