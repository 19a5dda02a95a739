/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/daemon.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/process.h"
#include "launcher/trace.h"
#include "launcher/vm/boot.h"
#include "launcher/vm/child_news.h"
#include "launcher/vm/ending.h"
#include "launcher/vm/locks.h"
#include "launcher/vm/monitor.h"

#define LOOK_MS 1000

static void on_look(uv_timer_t *timer);

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

static bool is_starter(const struct vm *vm)
{
	return vm->child.pid == vm->daemon.starter.pid;
}

/* Takes @pidfd over. */
static void become(struct vm *vm, pid_t pid, uint64_t start_time, int pidfd)
{
	if (vm->child.pidfd != vm->daemon.starter.pidfd)
		close(vm->child.pidfd);
	vm->child.pid = vm->state.qemu.pid = pid;
	vm->child.start_time = vm->state.qemu.start_time = start_time;
	vm->child.pidfd = pidfd;
	vm_save_state(vm);
	locks_set_process(vm);
}

/* Nobody that we know of lives. Who has QEMU's monitor on its command line is, or will be, QEMU. */
static void end_unless_somebody_is_left(struct vm *vm)
{
	static const char why[] = "who was started has ended, but has left a QEMU behind that has "
				  "not answered: its locks stay until that has ended, too";

	if (vm->admitted && trace_is_used(vm->daemon.starter.pid, vm->daemon.starter.start_time)) {
		vm_set_text(&vm->state.held_because, why);
		vm_save_state(vm);
		uv_timer_start(&vm->daemon.look, on_look, LOOK_MS, 0);
		return;
	}
	vm_set_text(&vm->state.held_because, NULL);
	vm_post(vm, SUP_EV_EXITED);
}

static void on_look(uv_timer_t *timer)
{
	struct vm *vm = timer->data;

	if (!vm->daemon.known)
		end_unless_somebody_is_left(vm);
}

static void on_starter_death(uv_poll_t *poll, int status, int events)
{
	struct vm *vm = poll->data;

	(void)status;
	(void)events;
	uv_poll_stop(poll);
	child_news_hear_last(vm);
	vm->daemon.starter_gone = true;
	if (vm->daemon.known && is_starter(vm))
		vm_post(vm, SUP_EV_EXITED);
	else if (!vm->daemon.known && vm->daemon.fd >= 0)
		uv_timer_start(
			&vm->daemon.look, on_look, LOOK_MS, 0); /* it will speak, or hang up */
	else if (!vm->daemon.known)
		end_unless_somebody_is_left(vm);
}

/* A script that has not become QEMU but started it may start another one. */
static void on_daemon_death(uv_poll_t *poll, int status, int events)
{
	struct vm *vm = poll->data;

	(void)status;
	(void)events;
	uv_poll_stop(poll);
	uv_close((uv_handle_t *)poll, NULL);
	vm->daemon.watched = false;
	if (vm->plan->daemonizes) {
		vm_post(vm, SUP_EV_EXITED);
		return;
	}
	vm->daemon.known = false;
	if (vm->daemon.starter_gone) {
		end_unless_somebody_is_left(vm);
	} else if (!vm->state.frozen) {
		become(vm, vm->daemon.starter.pid, vm->daemon.starter.start_time,
			vm->daemon.starter.pidfd);
		monitor_retry(vm);
	}
}

/*
 * As long as its connection stands the number is its own. What the starter said before an end
 * that we know of already says nothing about who lives.
 */
static int know(struct vm *vm, pid_t pid, int fd)
{
	_cleanup_(closep) int pidfd = -1;
	uint64_t start;
	int ret;

	if (pid == vm->daemon.starter.pid)
		return vm->daemon.starter_gone ? -ESRCH : 0;
	pidfd = pidfd_open_cloexec(pid);
	if (pidfd < 0)
		return pidfd;
	ret = process_start_time(pid, &start);
	if (ret < 0)
		return ret;
	if (has_hung_up(fd))
		return -ESRCH;
	become(vm, pid, start, take_fd(&pidfd));
	vm->daemon.death.data = vm;
	vm->daemon.watched = true;
	ret = uv_poll_init(&vm->loop, &vm->daemon.death, vm->child.pidfd);
	return ret ? ret : uv_poll_start(&vm->daemon.death, UV_READABLE, on_daemon_death);
}

/* Nobody listens to the monitor any more, or whoever did has let go of us unheard. */
static void on_gone(struct vm *vm)
{
	if (vm->daemon.starter_gone)
		end_unless_somebody_is_left(vm);
	else
		monitor_retry(vm);
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
		vm_set_text(&vm->state.held_because, NULL);
		ret = monitor_use(vm, take_fd(&fd), &err);
	} else {
		error_set(&err, ret, "QEMU's process cannot be told: %s", strerror(-ret));
	}
	if (ret < 0) {
		boot_fail(vm, &err);
		return;
	}
	if (vm->sup == SUP_ENDING) /* who asked for it could not be heard before */
		(vm->exit_status || vm->end.killed ? ending_kill : ending_forward)(vm);
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

int daemon_watch(struct vm *vm)
{
	int ret;

	vm->daemon.starter = vm->child;
	vm->child_death.data = vm->daemon.look.data = vm;
	uv_timer_init(&vm->loop, &vm->daemon.look);
	ret = uv_poll_init(&vm->loop, &vm->child_death, vm->child.pidfd);
	return ret ? ret : uv_poll_start(&vm->child_death, UV_READABLE, on_starter_death);
}

void daemon_watch_stop(struct vm *vm)
{
	uv_poll_stop(&vm->child_death);
	uv_timer_stop(&vm->daemon.look);
	if (vm->daemon.watched)
		uv_poll_stop(&vm->daemon.death);
}
