/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "stand_in.h"

/* The guard's byte (locking/file_lock.h), and the first of QEMU's own. */
#define GUARD    2
#define QEMU_OWN 100
#define EVERY_FD 1023
#define CHILD_FD 200

static long unlock_ofd(int fd)
{
	return set_lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0);
}

static long unlock_posix(int fd)
{
	return set_lock(fd, F_SETLK, F_UNLCK, 0, 0);
}

static long unlock_guard(int fd)
{
	return set_lock(fd, F_OFD_SETLK, F_UNLCK, GUARD, 1);
}

/* A reader's lock is all that then stands at the first byte. */
static long weaken(int fd)
{
	return set_lock(fd, F_OFD_SETLK, F_RDLCK, 0, 1);
}

/* Takes the bytes 0-99 for reading, which a guard for writing forbids. */
static long weaken_all(int fd)
{
	return set_lock(fd, F_OFD_SETLK, F_RDLCK, 0, QEMU_OWN);
}

static long take_guard(int fd)
{
	return set_lock(fd, F_OFD_SETLK, F_WRLCK, GUARD, 1);
}

static long take_guard_posix(int fd)
{
	return set_lock(fd, F_SETLK, F_WRLCK, GUARD, 1);
}

static long flock_both(int fd)
{
	return flock(fd, LOCK_EX | LOCK_NB) < 0 ? -1 : flock(fd, LOCK_UN);
}

static long take_lease(int fd)
{
	return fcntl(fd, F_SETLEASE, F_WRLCK);
}

static long close_it(int fd)
{
	return close(fd);
}

static long close_by_range(int fd)
{
	return syscall(SYS_close_range, fd, fd, 0);
}

static long unlock_copy(int copy)
{
	long ret = copy < 0 ? -1 : unlock_ofd(copy);

	close(copy);
	return ret;
}

static long by_dup(int fd)
{
	return unlock_copy(dup(fd));
}

static long by_dup2(int fd)
{
	return unlock_copy(dup3(fd, EVERY_FD, O_CLOEXEC));
}

static long by_dupfd(int fd)
{
	return unlock_copy(fcntl(fd, F_DUPFD_CLOEXEC, 0));
}

static long by_reopen(int fd)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	return unlock_copy(open(path, O_RDWR | O_CLOEXEC));
}

/* A POSIX lock goes with the first close of any descriptor of the file. */
static void open_again(const struct prey *prey)
{
	int fd = tried("open", open(prey->disk, O_RDWR | O_CLOEXEC));

	tried("unlock", unlock_ofd(fd));
	tried("unlock-posix", unlock_posix(fd));
	tried("close", close(fd));
}

static long send_fd(int socket, int fd)
{
	char space[CMSG_SPACE(sizeof(int))] = { 0 };
	struct iovec data = { .iov_base = "", .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space) };
	struct cmsghdr *header = CMSG_FIRSTHDR(&message);

	*header = (struct cmsghdr){ CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS };
	memcpy(CMSG_DATA(header), &fd, sizeof(fd));
	return sendmsg(socket, &message, 0);
}

static int receive_fd(int socket)
{
	char space[CMSG_SPACE(sizeof(int))], byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	struct msghdr message = { .msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = space,
		.msg_controllen = sizeof(space) };
	int fd = -1;

	if (recvmsg(socket, &message, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&message))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&message)), sizeof(fd));
	return fd;
}

static long by_message_to_itself(int fd)
{
	int pair[2];
	long ret = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);

	if (ret == 0)
		ret = send_fd(pair[0], fd);
	if (ret > 0)
		ret = unlock_copy(receive_fd(pair[1]));
	close(pair[0]);
	close(pair[1]);
	return ret;
}

static long helper_unlocks(void *data)
{
	return unlock_copy(receive_fd(*(int *)data));
}

/* The helper was there before, and has none of our descriptors. */
static void by_message_to_a_helper(const struct prey *prey)
{
	int pair[2], fds[DISK_FDS_MAX], n = disk_fds(prey, fds), i;

	for (i = 0; i < n; i++) {
		if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
			return;
		send_fd(pair[0], fds[i]);
		in_child("unlock", helper_unlocks, &pair[1]);
		close(pair[0]);
		close(pair[1]);
	}
}

static long child_unlocks(void *data)
{
	long ret = unlock_ofd(*(int *)data);

	return close(*(int *)data) < 0 ? -1 : ret;
}

static long by_fork(int fd)
{
	in_child("child", child_unlocks, &fd);
	return 0;
}

static long executes(void *data)
{
	char number[16];
	char *argv[] = { "helper", "--unlock", number, NULL };

	snprintf(number, sizeof(number), "%d", CHILD_FD);
	if (dup2(*(int *)data, CHILD_FD) < 0)
		return -1;
	return execv("/proc/self/exe", argv);
}

static long by_exec(int fd)
{
	in_child("helper", executes, &fd);
	return 0;
}

static long unshares(void *data)
{
	return unshare(CLONE_FILES | CLONE_FS) < 0 ? -1 : child_unlocks(data);
}

static long by_unshare(int fd)
{
	in_child("child", unshares, &fd);
	return 0;
}

/* Of a new user namespace it is the root, and has all its capabilities. */
static long becomes_root(void *data)
{
	return unshare(CLONE_NEWUSER) < 0 ? -1 : child_unlocks(data);
}

static long by_namespace(int fd)
{
	in_child("child", becomes_root, &fd);
	return 0;
}

static void *thread_unlocks(void *data)
{
	return unlock_ofd(*(int *)data) < 0 ? data : NULL;
}

static long by_thread(int fd)
{
	pthread_t thread;
	void *failed = &fd;

	if (pthread_create(&thread, NULL, thread_unlocks, &fd) == 0)
		pthread_join(thread, &failed);
	return failed ? -1 : 0;
}

#define EACH(call, act)                                 \
	static void each_##act(const struct prey *prey) \
	{                                               \
		by_each_fd(prey, call, act);            \
	}
EACH("fcntl", unlock_ofd)
EACH("fcntl", unlock_posix)
EACH("fcntl", unlock_guard)
EACH("fcntl", weaken)
EACH("fcntl", weaken_all)
EACH("fcntl", take_guard)
EACH("fcntl", take_guard_posix)
EACH("flock", flock_both)
EACH("fcntl", take_lease)
EACH("close", close_it)
EACH("close_range", close_by_range)
EACH("fcntl", by_dup)
EACH("fcntl", by_dup2)
EACH("fcntl", by_dupfd)
EACH("fcntl", by_reopen)
EACH("fcntl", by_message_to_itself)
EACH("fork", by_fork)
EACH("fork", by_exec)
EACH("fork", by_unshare)
EACH("fork", by_namespace)
EACH("fcntl", by_thread)

const struct attack lock_attacks[] = {
	{ "unlock", each_unlock_ofd },
	{ "unlock-posix", each_unlock_posix },
	{ "unlock-guard", each_unlock_guard },
	{ "weaken", each_weaken },
	{ "weaken-all", each_weaken_all },
	{ "take-guard", each_take_guard },
	{ "take-guard-posix", each_take_guard_posix },
	{ "flock", each_flock_both },
	{ "lease", each_take_lease },
	{ "close", each_close_it },
	{ "close-range", each_close_by_range },
	{ "dup", each_by_dup },
	{ "dup3", each_by_dup2 },
	{ "dupfd", each_by_dupfd },
	{ "open-again", open_again },
	{ "reopen", each_by_reopen },
	{ "scm-self", each_by_message_to_itself },
	{ "scm-helper", by_message_to_a_helper },
	{ "fork", each_by_fork },
	{ "exec", each_by_exec },
	{ "unshare", each_by_unshare },
	{ "user-namespace", each_by_namespace },
	{ "thread", each_by_thread },
	{ NULL, NULL },
};
