/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/daemon.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/process.h"
#include "launcher/vm/boot.h"
#include "launcher/vm/ending.h"
#include "launcher/vm/locks.h"
#include "launcher/vm/monitor.h"

/* Who has sent what waits there, without taking it away; 0: nobody ever will; or -errno. */
static pid_t sender_peek(int fd)
{
	char byte;
	struct iovec data = { .iov_base = &byte, .iov_len = 1 };
	union {
		struct cmsghdr header;
		char space[CMSG_SPACE(sizeof(struct ucred))];
	} control;
	struct msghdr message = {
		.msg_iov = &data,
		.msg_iovlen = 1,
		.msg_control = control.space,
		.msg_controllen = sizeof(control.space),
	};
	ssize_t n = recvmsg(fd, &message, MSG_PEEK | MSG_DONTWAIT | MSG_CMSG_CLOEXEC);
	struct cmsghdr *header;
	struct ucred sender;

	if (n <= 0)
		return n < 0 && (errno == EAGAIN || errno == EINTR) ? -EAGAIN : 0;
	for (header = CMSG_FIRSTHDR(&message); header; header = CMSG_NXTHDR(&message, header)) {
		if (header->cmsg_level != SOL_SOCKET || header->cmsg_type != SCM_CREDENTIALS)
			continue;
		memcpy(&sender, CMSG_DATA(header), sizeof(sender));
		return sender.pid > 0 ? sender.pid : -EPROTO; /* 0: of another pid namespace */
	}
	return -EPROTO;
}

static bool has_hung_up(int fd)
{
	struct pollfd end = { .fd = fd, .events = POLLRDHUP };

	return poll(&end, 1, 0) < 0 || end.revents;
}

/* As long as its connection stands the number is its own. */
static int know(struct vm *vm, pid_t pid, int fd)
{
	_cleanup_(closep) int pidfd = pidfd_open_cloexec(pid);
	uint64_t start;
	int ret;

	if (pidfd < 0)
		return pidfd;
	ret = process_start_time(pid, &start);
	if (ret < 0)
		return ret;
	if (has_hung_up(fd))
		return -ESRCH;
	close(vm->child.pidfd);
	vm->child.pid = vm->state.qemu.pid = pid;
	vm->child.start_time = vm->state.qemu.start_time = start;
	vm->child.pidfd = take_fd(&pidfd);
	return boot_watch_death(vm);
}

/* Nobody listens to the monitor any more, so nobody of them lives. */
static void on_gone(struct vm *vm)
{
	if (vm->daemon.starter_gone)
		vm_post(vm, SUP_EV_EXITED);
}

static void on_word(uv_poll_t *poll, int status, int events)
{
	struct vm *vm = poll->data;
	_cleanup_(closep) int fd = vm->daemon.fd;
	struct error err = { 0 };
	pid_t sender = sender_peek(fd);
	int ret;

	(void)status;
	(void)events;
	if (sender == -EAGAIN) {
		take_fd(&fd);
		return;
	}
	uv_poll_stop(poll);
	uv_close((uv_handle_t *)poll, NULL);
	vm->daemon.fd = -1;
	ret = sender > 0 ? know(vm, sender, fd) : sender;
	if (sender == 0 || ret == -ESRCH) {
		on_gone(vm);
		return;
	}
	if (ret == 0) {
		vm->daemon.known = true;
		vm_save_state(vm);
		locks_set_process(vm);
		ret = monitor_use(vm, take_fd(&fd), &err);
	} else {
		error_set(&err, ret, "QEMU's process cannot be told: %s", strerror(-ret));
	}
	if (ret < 0) {
		boot_fail(vm, &err);
		return;
	}
	if (vm->sup == SUP_ENDING) /* who asked for it could not be heard before */
		ending_forward(vm);
}

int daemon_await(struct vm *vm, int fd, struct error *err)
{
	int ret;

	vm->daemon.fd = fd;
	vm->daemon.word.data = vm;
	ret = uv_poll_init(&vm->loop, &vm->daemon.word, fd);
	if (ret == 0)
		ret = uv_poll_start(&vm->daemon.word, UV_READABLE | UV_DISCONNECT, on_word);
	if (ret < 0)
		return error_set(err, ret, "watch QEMU's monitor: %s", uv_strerror(ret));
	return 0;
}

bool daemon_is_end(struct vm *vm)
{
	/* without a connection it has not become QEMU, or nobody listens any more */
	if (!vm->plan->daemonizes || vm->daemon.known || vm->daemon.fd < 0)
		return true;
	vm->daemon.starter_gone = true;
	uv_poll_stop(vm->death);
	return false;
}
