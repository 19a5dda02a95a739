/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/doctor/lock_trial.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"

#define REFUSED 1

/* One lock of one byte. */
struct byte_lock {
	int command; /* F_OFD_SETLK or F_SETLK */
	short type;
	off_t byte;
};

#define OFD(type, byte)                 \
	{                               \
		F_OFD_SETLK, type, byte \
	}
#define POSIX(type, byte)           \
	{                           \
		F_SETLK, type, byte \
	}

/* Bytes 0 and 2 are the file driver's (file_lock.h); virtlockd's lock is a POSIX one on byte 0. */
static const struct {
	struct byte_lock ours, theirs;
	bool theirs_first;
	bool reopen;  /* open and close the file once more, as any library may, before they try */
	bool refused; /* who comes second is */
	bool libvirt;
	const char *broken;
} trials[] = {
	{ OFD(F_WRLCK, 0), OFD(F_WRLCK, 0), .refused = true,
		.broken = "two processes can have an exclusive lock at the same time" },
	{ OFD(F_WRLCK, 0), OFD(F_RDLCK, 0), .refused = true,
		.broken = "a reader can have a lock beside an exclusive one" },
	{ OFD(F_RDLCK, 0), OFD(F_WRLCK, 0), .refused = true,
		.broken = "an exclusive lock can be had beside a reader's" },
	{ OFD(F_RDLCK, 0), OFD(F_RDLCK, 0), .broken = "two readers refuse each other" },
	{ OFD(F_WRLCK, 0), OFD(F_WRLCK, 2), .broken = "locks are on the whole file, not on bytes" },
	{ OFD(F_WRLCK, 0), OFD(F_WRLCK, 0), .reopen = true, .refused = true,
		.broken = "a lock ends when another descriptor of its file is closed" },
	{ OFD(F_WRLCK, 0), POSIX(F_WRLCK, 0), .refused = true, .libvirt = true,
		.broken = "a POSIX lock can be had beside ours" },
	{ OFD(F_WRLCK, 0), POSIX(F_WRLCK, 0), .theirs_first = true, .refused = true,
		.libvirt = true, .broken = "our lock can be had beside a POSIX one" },
};

/* 0, REFUSED or -errno */
static int byte_lock_take(int fd, const struct byte_lock *lock)
{
	struct flock want = {
		.l_type = lock->type,
		.l_whence = SEEK_SET,
		.l_start = lock->byte,
		.l_len = 1,
	};
	int ret;

	do {
		ret = fcntl(fd, lock->command, &want);
	} while (ret < 0 && errno == EINTR);
	if (ret == 0)
		return 0;
	return errno == EAGAIN || errno == EACCES ? REFUSED : -errno;
}

static int unlock(int fd, const struct byte_lock *lock)
{
	const struct byte_lock none = { lock->command, F_UNLCK, lock->byte };

	return byte_lock_take(fd, &none);
}

/* The second process: holds what it has got until it is told to end. */
struct peer {
	pid_t pid;
	int hold; /* closed: end */
};

static void peer_run(const char *path, const struct byte_lock *lock, int said, int hold)
{
	int fd = open(path, O_RDWR | O_NOFOLLOW | O_CLOEXEC);
	int got = fd < 0 ? -errno : byte_lock_take(fd, lock);
	char byte;

	fd_write_all(said, &got, sizeof(got));
	while (read(hold, &byte, 1) < 0 && errno == EINTR)
		;
}

/* What it got: 0, REFUSED or -errno; unless -errno of ours it has to be stopped. */
static int peer_start(struct peer *peer, const char *path, const struct byte_lock *lock)
{
	int said[2], hold[2], got = -EIO;

	*peer = (struct peer){ -1, -1 };
	if (pipe2(said, O_CLOEXEC) < 0)
		return -errno;
	if (pipe2(hold, O_CLOEXEC) < 0) {
		fd_close_many(said, 2);
		return -EMFILE;
	}
	peer->pid = fork();
	if (peer->pid == 0) {
		prctl(PR_SET_PDEATHSIG, SIGKILL);
		close(hold[1]); /* so that our death is its end too */
		peer_run(path, lock, said[1], hold[0]);
		_exit(0);
	}
	close(said[1]);
	close(hold[0]);
	peer->hold = hold[1];
	if (peer->pid < 0 || fd_read_all(said[0], &got, sizeof(got)) != sizeof(got))
		got = -EIO;
	close(said[0]);
	return got;
}

static void peer_stop(struct peer *peer)
{
	closep(&peer->hold);
	while (peer->pid > 0 && waitpid(peer->pid, NULL, 0) < 0 && errno == EINTR)
		;
}

static void reopen(const char *path)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);

	closep(&fd);
}

/* What the second of both got: 0, REFUSED or -errno (also of the first, who must get his). */
static int trial_run(size_t i, int fd, const char *path)
{
	struct peer peer = { -1, -1 };
	int first, second = 0;

	if (trials[i].theirs_first)
		first = peer_start(&peer, path, &trials[i].theirs);
	else
		first = byte_lock_take(fd, &trials[i].ours);
	if (trials[i].reopen)
		reopen(path);
	if (first == 0)
		second = trials[i].theirs_first ? byte_lock_take(fd, &trials[i].ours)
						: peer_start(&peer, path, &trials[i].theirs);
	unlock(fd, &trials[i].ours);
	peer_stop(&peer);
	if (first != 0)
		return first < 0 ? first : -EBUSY; /* what was given back is still locked */
	return second;
}

struct lock_trials lock_trials_run(int fd, const char *path)
{
	struct lock_trials result = { 0 };
	size_t i;

	for (i = 0; i < sizeof(trials) / sizeof(trials[0]); i++) {
		int got = trial_run(i, fd, path);

		if (got >= 0 && trials[i].refused == (got == REFUSED))
			continue;
		result.code = got < 0 ? got : 0;
		result.broken = trials[i].broken;
		result.without_libvirt = trials[i].libvirt;
		break; /* those of libvirt stand last */
	}
	return result;
}
