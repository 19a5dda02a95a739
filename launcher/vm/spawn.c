/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/process.h"
#include "launcher/vm/detach.h"
#include "launcher/vm/spawn_child.h"
#include "launcher/vm/spawn_wire.h"

/* The child becomes QEMU; its pid for us. */
static pid_t fork_as_parent(const struct spawn_plan *plan, int pair[2], struct error *err)
{
	pid_t supervisor = getpid();
	pid_t pid = fork();

	if (pid < 0)
		return error_status(
			err, error_set(err, -errno, "fork: %s", strerror(errno)), EX_OSERR);
	if (pid == 0) {
		close(pair[0]);
		spawn_child(plan, pair[1], supervisor);
	}
	return pid;
}

/* We become QEMU; our pid for the supervisor. */
static pid_t fork_in_place(const struct spawn_plan *plan, int pair[2], struct error *err)
{
	pid_t pid = getpid();
	int ret = detach_fork(err);

	if (ret == DETACH_STARTED) {
		close(pair[0]);
		spawn_child(plan, pair[1], 0);
	}
	return ret < 0 ? ret : pid;
}

/* Whoever becomes QEMU may be dead by now, and its number another's. */
static int watch(struct spawn *spawn, uint64_t known_start, struct error *err)
{
	uint64_t start;
	int pidfd = pidfd_open_cloexec(spawn->pid);

	if (pidfd >= 0 && process_start_time(spawn->pid, &start) == 0) {
		spawn->start_time = start;
		if (known_start && known_start != start) {
			close(pidfd);
			pidfd = -ESRCH;
		}
	}
	if (pidfd < 0)
		return error_status(err,
			error_set(err, pidfd, "watch process %d: %s", spawn->pid, strerror(-pidfd)),
			EX_OSERR);
	spawn->pidfd = pidfd;
	return 0;
}

int spawn_start(const struct spawn_plan *plan, struct spawn *ret, struct error *err)
{
	_cleanup_(closep) int ours = -1;
	struct spawn spawn = { .pidfd = -1 };
	uint64_t known_start = 0;
	int pair[2], code;

	if (plan->in_place)
		process_start_time(getpid(), &known_start);
	if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair) < 0)
		return error_status(err,
			error_set(err, -errno, "make a socket pair: %s", strerror(errno)),
			EX_OSERR);
	ours = pair[0];
	spawn.pid =
		plan->in_place ? fork_in_place(plan, pair, err) : fork_as_parent(plan, pair, err);
	close(pair[1]);
	if (spawn.pid < 0)
		return spawn.pid;
	code = watch(&spawn, known_start, err);
	if (code < 0)
		return code; /* who waits for our word sees its end, and goes */
	spawn.socket = take_fd(&ours);
	*ret = spawn;
	return 0;
}

void spawn_report_finish(struct spawn_report *report)
{
	if (report->listener >= 0)
		close(report->listener);
	fd_close_many(report->fds, report->n_fds);
	free(report->fds);
	free(report->state);
	*report = (struct spawn_report){ .listener = -1 };
}

static int read_state(int memfd, char **ret)
{
	off_t size = lseek(memfd, 0, SEEK_END);
	_cleanup_(freep) char *text = NULL;

	if (size < 0 || lseek(memfd, 0, SEEK_SET) < 0)
		return -errno;
	text = calloc(1, size + 1);
	if (!text)
		return -ENOMEM;
	if (fd_read_all(memfd, text, size) != size)
		return -EIO;
	*ret = take_ptr(text);
	return 0;
}

/* The event loop has made the socket non-blocking; what was announced is on its way. */
static ssize_t receive_next(int socket, int *fds, size_t *n)
{
	struct pollfd ready = { .fd = socket, .events = POLLIN };
	char byte;

	while (poll(&ready, 1, -1) < 0 && errno == EINTR)
		;
	return fd_receive(socket, &byte, 1, fds, n);
}

/* The state, then the descriptors, in as many messages as they need. */
static int receive_locks(
	int socket, const struct spawn_message *message, struct spawn_report *report)
{
	_cleanup_(closep) int memfd = -1;
	size_t n = 1, got = 0;
	int ret;

	ret = receive_next(socket, &memfd, &n);
	if (ret <= 0 || n != 1)
		return ret < 0 ? ret : -EPROTO;
	ret = read_state(memfd, &report->state);
	if (ret < 0)
		return ret;
	report->fds = calloc(message->n_fds + 1, sizeof(int));
	if (!report->fds)
		return -ENOMEM;
	while (got < message->n_fds) {
		n = message->n_fds - got;
		if (n > FD_MESSAGE_MAX)
			n = FD_MESSAGE_MAX;
		ret = receive_next(socket, report->fds + got, &n);
		report->n_fds = got += n;
		if (ret <= 0 || n == 0)
			return ret < 0 ? ret : -EPROTO;
	}
	return 0;
}

int spawn_receive(int socket, struct spawn_report *ret, struct error *err)
{
	struct spawn_report report = { .listener = -1 };
	struct spawn_message message;
	size_t one = 1;
	ssize_t n;
	int code = 0;

	n = fd_receive(socket, &message, sizeof(message), &report.listener, &one);
	if (n < 0 && n != -ECONNRESET)
		return error_set(err, n, "listen to the child: %s", strerror(-n));
	if (n <= 0) {
		*ret = (struct spawn_report){ .news = SPAWN_EXECUTED, .listener = -1 };
		return 0;
	}
	if (n != sizeof(message))
		return error_set(err, -EPROTO, "the child said something that is not understood");
	report.news = message.news;
	report.stage = message.stage;
	report.outcome = message.outcome;
	report.error = message.error;
	report.conflict = message.conflict;
	if (message.news == SPAWN_LOCKED)
		code = receive_locks(socket, &message, &report);
	if (code < 0) {
		spawn_report_finish(&report);
		return error_set(err, code, "take over the child's locks: %s", strerror(-code));
	}
	*ret = report;
	return 0;
}

int spawn_admit(int socket)
{
	struct spawn_answer answer = { .admitted = true, .supervisor = getpid() };

	return fd_write_all(socket, &answer, sizeof(answer));
}

void spawn_dismiss(int socket, int status)
{
	struct spawn_answer answer = { .status = status };

	fd_write_all(socket, &answer, sizeof(answer)); /* or it has gone already */
}
