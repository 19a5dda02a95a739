/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/spawn_wire.h"

#include <errno.h>
#include <stdnoreturn.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/log.h"

static int send_state(int socket, const char *state)
{
	_cleanup_(closep) int memfd = memfd_create("vmlatch-state", MFD_CLOEXEC);
	int ret;

	if (memfd < 0)
		return -errno;
	ret = fd_write_all(memfd, state, strlen(state));
	if (ret < 0)
		return ret;
	return fd_send(socket, "", 1, &memfd, 1);
}

static int send_descriptors(int socket, const struct lock_descriptor *descriptors, size_t n_all)
{
	size_t sent = 0, n = 0;
	int batch[FD_MESSAGE_MAX];

	for (sent = 0; sent < n_all; sent += n) {
		int ret;

		for (n = 0; n < FD_MESSAGE_MAX && sent + n < n_all; n++)
			batch[n] = descriptors[sent + n].fd;
		ret = fd_send(socket, "", 1, batch, n);
		if (ret < 0)
			return ret;
	}
	return 0;
}

int spawn_wire_send_locks(
	int socket, const char *state, const struct lock_descriptor *descriptors, size_t n)
{
	struct spawn_message message = { .news = SPAWN_LOCKED, .n_fds = n };
	int ret = fd_write_all(socket, &message, sizeof(message));

	if (ret == 0)
		ret = send_state(socket, state);
	return ret < 0 ? ret : send_descriptors(socket, descriptors, n);
}

static noreturn void leave_unsupervised(void)
{
	log_error("its supervisor has died: nothing was started");
	_exit(EX_SOFTWARE);
}

void spawn_wire_await_answer(int socket)
{
	struct spawn_answer answer;

	if (fd_read_all(socket, &answer, sizeof(answer)) != sizeof(answer))
		leave_unsupervised();
	if (!answer.admitted)
		_exit(answer.status);
	prctl(PR_SET_PTRACER, answer.supervisor, 0, 0, 0); /* EINVAL: there is no Yama */
}

void spawn_wire_send_refusal(int socket, const struct spawn_message *message)
{
	if (fd_write_all(socket, message, sizeof(*message)) < 0)
		leave_unsupervised();
	spawn_wire_await_answer(socket);
}
