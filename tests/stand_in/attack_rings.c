/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <fcntl.h>
#include <linux/io_uring.h>
#include <stdint.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "stand_in.h"

/*
 * Ways past fcntl(2) and close(2): io_uring, and the same calls by other numbers.
 * io_uring has no operation that locks or unlocks (linux/io_uring.h up to 6.18), but
 * it closes and opens.
 */

#define X32_BIT    0x40000000
#define I386_FCNTL 221 /* fcntl64, with the 64-bit struct flock */

struct ring {
	int fd;
	unsigned *tail, *mask, *array, *completed;
	struct io_uring_sqe *sqes;
	struct io_uring_cqe *cqes;
	unsigned *cq_mask;
};

static long ring_open(struct ring *ring)
{
	struct io_uring_params params = { 0 };
	char *rings;

	ring->fd = syscall(SYS_io_uring_setup, 4, &params);
	if (ring->fd < 0)
		return -1;
	rings = mmap(NULL,
		params.cq_off.cqes + params.cq_entries * sizeof(struct io_uring_cqe) + 4096,
		PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQ_RING);
	ring->sqes = mmap(NULL, params.sq_entries * sizeof(struct io_uring_sqe),
		PROT_READ | PROT_WRITE, MAP_SHARED, ring->fd, IORING_OFF_SQES);
	if (rings == MAP_FAILED || ring->sqes == MAP_FAILED)
		return -1;
	ring->tail = (unsigned *)(rings + params.sq_off.tail);
	ring->mask = (unsigned *)(rings + params.sq_off.ring_mask);
	ring->array = (unsigned *)(rings + params.sq_off.array);
	ring->completed = (unsigned *)(rings + params.cq_off.head);
	ring->cq_mask = (unsigned *)(rings + params.cq_off.ring_mask);
	ring->cqes = (struct io_uring_cqe *)(rings + params.cq_off.cqes);
	return 0;
}

/* One operation to its end: what it has returned. */
static long ring_do(const struct ring *ring, const struct io_uring_sqe *sqe)
{
	unsigned at = *ring->tail & *ring->mask;
	long ret;

	ring->sqes[at] = *sqe;
	ring->array[at] = at;
	__atomic_store_n(ring->tail, *ring->tail + 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, ring->fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -1;
	ret = ring->cqes[*ring->completed & *ring->cq_mask].res;
	__atomic_store_n(ring->completed, *ring->completed + 1, __ATOMIC_RELEASE);
	errno = ret < 0 ? -ret : 0;
	return ret < 0 ? -1 : ret;
}

static void ring_close_fds(const struct prey *prey)
{
	int fds[DISK_FDS_MAX], n = disk_fds(prey, fds), i;
	struct ring ring;

	if (tried("setup", ring_open(&ring)) < 0)
		return;
	for (i = 0; i < n; i++)
		tried("close", ring_do(&ring, &(struct io_uring_sqe){
						      .opcode = IORING_OP_CLOSE, .fd = fds[i] }));
	close(ring.fd);
}

static void ring_open_again(const struct prey *prey)
{
	struct io_uring_sqe sqe = { .opcode = IORING_OP_OPENAT,
		.fd = AT_FDCWD,
		.addr = (uintptr_t)prey->disk,
		.open_flags = O_RDWR | O_CLOEXEC };
	struct ring ring;
	long fd;

	if (tried("setup", ring_open(&ring)) < 0)
		return;
	fd = tried("openat", ring_do(&ring, &sqe));
	tried("unlock", set_lock(fd, F_OFD_SETLK, F_UNLCK, 0, 0));
	sqe = (struct io_uring_sqe){ .opcode = IORING_OP_CLOSE, .fd = fd };
	tried("close", ring_do(&ring, &sqe));
	close(ring.fd);
}

/* As far as its kernel allows it: where it does not, the answer is a signal or ENOSYS. */
static long by_int80(void *data)
{
	struct flock *lock = mmap(NULL, sizeof(*lock), PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1, 0);
	long ret = I386_FCNTL;

	if (lock == MAP_FAILED)
		return -1;
	/* struct flock64 of i386: 16-bit type and whence, then at once the 64-bit start */
	memcpy(lock, (short[]){ F_UNLCK, SEEK_SET }, 2 * sizeof(short));
	__asm__ volatile("int $0x80"
			 : "+a"(ret)
			 : "b"(*(int *)data), "c"(F_OFD_SETLK), "d"(lock)
			 : "memory", "r8", "r9", "r10", "r11");
	errno = ret < 0 ? -(int)ret : 0;
	return ret < 0 ? -1 : 0;
}

static long by_x32(void *data)
{
	struct flock lock = { .l_type = F_UNLCK, .l_whence = SEEK_SET };

	return syscall(X32_BIT | SYS_fcntl, *(int *)data, F_OFD_SETLK, &lock);
}

static void foreign(const struct prey *prey, long (*act)(void *data))
{
	int fds[DISK_FDS_MAX], n = disk_fds(prey, fds), i;

	for (i = 0; i < n; i++)
		in_child("fcntl", act, &fds[i]);
}

static void int80(const struct prey *prey)
{
	foreign(prey, by_int80);
}

static void x32(const struct prey *prey)
{
	foreign(prey, by_x32);
}

const struct attack ring_attacks[] = {
	{ "io-uring-open", ring_open_again },
	{ "io-uring-close", ring_close_fds },
	{ "int80", int80 },
	{ "x32", x32 },
	{ NULL, NULL },
};
