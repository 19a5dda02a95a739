/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/signals.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include "launcher/vm/freeze.h"
#include "launcher/vm/unborn.h"

/* What each signal means to the VM. */
static const struct {
	int signal;
	enum { ENDS, PASSED_ON, STOPS, CONTINUES, LOOKS } meaning;
} meanings[] = {
	{ SIGTERM, ENDS },
	{ SIGINT, ENDS },
	{ SIGHUP, ENDS },
	{ SIGQUIT, ENDS },
	{ SIGUSR1, PASSED_ON },
	{ SIGUSR2, PASSED_ON },
	{ SIGTSTP, STOPS },
	{ SIGCONT, CONTINUES },
	{ SIGCHLD, LOOKS },
};
#define N_MEANINGS (sizeof(meanings) / sizeof(meanings[0]))

static void pass_on(struct vm *vm, int signal)
{
	pidfd_signal(vm->child.pidfd, signal);
}

/* As the shell expects it: by this signal, and not at all where nobody could continue us. */
static void stop_ourselves(void)
{
	sigset_t only, before;

	sigemptyset(&only);
	sigaddset(&only, SIGTSTP);
	raise(SIGTSTP);
	sigprocmask(SIG_UNBLOCK, &only, &before);
	sigprocmask(SIG_SETMASK, &before, NULL);
}

static void handle(struct vm *vm, int meaning, const struct signalfd_siginfo *info)
{
	bool from_terminal = info->ssi_code == SI_KERNEL;

	switch (meaning) {
	case ENDS:
		vm->end.signal = info->ssi_signo;
		vm->end.seen_by_qemu = from_terminal;
		vm_post(vm, SUP_EV_END_WANTED);
		break;
	case PASSED_ON:
		pass_on(vm, info->ssi_signo);
		break;
	case STOPS:
		if (!from_terminal)
			pass_on(vm, SIGTSTP);
		stop_ourselves();
		break;
	case CONTINUES:
		/* a shell's 'fg' continues QEMU too, whatever we had frozen it for */
		if (vm->state.frozen)
			freeze_qemu(vm);
		else if (!from_terminal)
			pass_on(vm, SIGCONT);
		break;
	case LOOKS:
		unborn_look(vm);
		freeze_look(vm);
		break;
	}
}

static void on_signal(uv_poll_t *poll, int status, int events)
{
	struct vm *vm = poll->data;
	struct signalfd_siginfo info;
	size_t i;

	(void)events;
	if (status < 0)
		return;
	while (read(vm->signal_fd, &info, sizeof(info)) == (ssize_t)sizeof(info)) {
		for (i = 0; i < N_MEANINGS; i++) {
			if ((int)info.ssi_signo == meanings[i].signal)
				handle(vm, meanings[i].meaning, &info);
		}
	}
}

/* All of them that are not ignored. */
static void watched_find(sigset_t *ret)
{
	struct sigaction action;
	size_t i;

	sigemptyset(ret);
	for (i = 0; i < N_MEANINGS; i++) {
		if (sigaction(meanings[i].signal, NULL, &action) == 0 &&
			action.sa_handler != SIG_IGN)
			sigaddset(ret, meanings[i].signal);
	}
}

/*
 * What others could end or stop us by: a reader of stderr that goes away; a file there that
 * QEMU, which shares it, has moved on to the limit of a file's size; a terminal that QEMU
 * has told to stop who writes from the background.
 */
static const int harmful[] = { SIGPIPE, SIGXFSZ, SIGTTOU };

void signals_ignore(void)
{
	size_t i;

	for (i = 0; i < sizeof(harmful) / sizeof(*harmful); i++)
		signal(harmful[i], SIG_IGN);
}

int signals_block(sigset_t *ret, bool *ret_ignored, struct error *err)
{
	sigset_t blocked;
	size_t i;

	/* ignored it would take QEMU's exit status away */
	*ret_ignored = signal(SIGCHLD, SIG_DFL) == SIG_IGN;
	watched_find(&blocked);
	for (i = 0; i < sizeof(harmful) / sizeof(*harmful); i++)
		sigaddset(&blocked, harmful[i]); /* ignored they would be so for QEMU too */
	if (sigprocmask(SIG_BLOCK, &blocked, ret) < 0)
		return error_set(err, -errno, "block signals: %s", strerror(errno));
	return 0;
}

int signals_start(struct vm *vm, struct error *err)
{
	sigset_t watched;

	watched_find(&watched);
	vm->signal_fd = signalfd(-1, &watched, SFD_CLOEXEC | SFD_NONBLOCK);
	if (vm->signal_fd < 0)
		return error_set(err, -errno, "watch signals: %s", strerror(errno));
	uv_poll_init(&vm->loop, &vm->signals, vm->signal_fd);
	vm->signals.data = vm;
	return uv_poll_start(&vm->signals, UV_READABLE, on_signal);
}
