/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/doctor/guard.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/fd.h"

#define DEATH_MS 2000 /* so long a process that was killed may take */

/* What the examiner sends before its text. */
struct result {
	int code; /* of examine(); then the text is the sentence */
	int status;
	size_t len;
};

struct examiner {
	pid_t pid;
	int pidfd;
	int output;
	int signals; /* those that end us */
	sigset_t before;
	int64_t deadline;
};

static void result_send(int fd, int code, const struct doctor_view *view, const struct error *err)
{
	const char *text = code < 0 ? err->text : view->text.text;
	struct result result = {
		.code = code,
		.status = code < 0 ? err->status : view->status,
		.len = text ? strlen(text) : 0,
	};

	if (fd_write_all(fd, &result, sizeof(result)) == 0)
		fd_write_all(fd, text, result.len);
}

/* Whoever waits for the end of our output must not wait for this process. */
static void output_leave(void)
{
	int fd = open("/dev/null", O_RDWR | O_CLOEXEC), i;

	for (i = 0; fd >= 0 && i < 3; i++)
		dup2(fd, i);
	closep(&fd);
}

static void examiner_run(
	const char *path, const struct probe_names *names, struct doctor_view *view, int output)
{
	struct error err = { 0 };
	int ret;

	output_leave();
	signal(SIGPIPE, SIG_IGN); /* nobody listens any more: the file is removed all the same */
	ret = examine(path, names, view, &err);
	result_send(output, ret, view, &err);
}

/* Those that would end us, but for those that somebody has had ignored (nohup). */
static void signals_block(struct examiner *examiner)
{
	static const int ending[] = { SIGHUP, SIGINT, SIGQUIT, SIGTERM };
	struct sigaction action;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < sizeof(ending) / sizeof(ending[0]); i++) {
		if (sigaction(ending[i], NULL, &action) == 0 && action.sa_handler != SIG_IGN)
			sigaddset(&set, ending[i]);
	}
	sigprocmask(SIG_BLOCK, &set, &examiner->before);
	examiner->signals = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
}

static int examiner_start(struct examiner *examiner, const char *path,
	const struct probe_names *names, struct doctor_view *view)
{
	int pipes[2];

	if (pipe2(pipes, O_CLOEXEC) < 0)
		return -errno;
	examiner->pid = fork();
	if (examiner->pid == 0) {
		close(pipes[0]);
		examiner_run(path, names, view, pipes[1]);
		_exit(0);
	}
	close(pipes[1]);
	examiner->output = pipes[0];
	if (examiner->pid < 0)
		return -errno;
	examiner->pidfd = pidfd_open_cloexec(examiner->pid);
	return examiner->pidfd < 0 ? examiner->pidfd : 0;
}

static int64_t left_ms(const struct examiner *examiner)
{
	int64_t left = examiner->deadline - clock_monotonic_ms();

	return left > 0 ? left : 0;
}

/* Its output is there (1), or a signal for us (0), or neither in time (-ETIMEDOUT). */
static int examiner_wait(const struct examiner *examiner)
{
	struct pollfd what[] = {
		{ .fd = examiner->output, .events = POLLIN },
		{ .fd = examiner->signals, .events = POLLIN },
	};
	int ret;

	do {
		ret = poll(what, 2, (int)left_ms(examiner));
	} while (ret < 0 && errno == EINTR);
	if (ret <= 0)
		return ret < 0 ? -errno : -ETIMEDOUT;
	return !what[1].revents;
}

/* Only when it is dead can nothing be made any more. Then this process ends as it was told to. */
static void end_by_signal(
	const struct examiner *examiner, const char *path, const struct probe_names *names)
{
	struct pollfd death = { .fd = examiner->pidfd, .events = POLLIN };
	struct signalfd_siginfo info = { .ssi_signo = SIGTERM };

	kill(examiner->pid, SIGKILL);
	(void)!read(examiner->signals, &info, sizeof(info));
	sigprocmask(SIG_SETMASK, &examiner->before, NULL); /* a second one does not wait */
	if (poll(&death, 1, DEATH_MS) > 0)
		probe_remove(path, names);
	raise((int)info.ssi_signo);
}

/* What it has sent; it has written all of it before it ends. */
static int result_receive(int fd, struct doctor_view *view, struct error *err)
{
	_cleanup_(freep) char *text = NULL;
	struct result result;

	if (fd_read_all(fd, &result, sizeof(result)) != sizeof(result))
		return error_status(err,
			error_set(err, -ECHILD, "the examination has died: that is a bug"),
			EX_SOFTWARE);
	text = malloc(result.len + 1);
	if (!text || fd_read_all(fd, text, result.len) != (ssize_t)result.len)
		return error_set(err, -ENOMEM, "no memory for what there is to say");
	text[result.len] = '\0';
	if (result.code < 0) {
		error_set(err, result.code, "%s", text);
		return result.status ? error_status(err, result.code, result.status) : result.code;
	}
	str_append_bytes(&view->text, text, result.len);
	view->status = result.status;
	return view->text.failed ? -ENOMEM : 0;
}

static int examiner_finish(struct examiner *examiner, struct doctor_view *view, struct error *err)
{
	int ret = result_receive(examiner->output, view, err);

	while (waitpid(examiner->pid, NULL, 0) < 0 && errno == EINTR)
		;
	return ret;
}

static int examiner_follow(struct examiner *examiner, const char *path,
	const struct probe_names *names, struct doctor_view *view, struct error *err)
{
	int ret = examiner_wait(examiner);

	if (ret == 0)
		end_by_signal(examiner, path, names);
	if (ret == -ETIMEDOUT)
		return error_set(err, ret,
			"%s does not answer: is its server away, or the file system frozen? "
			"(%s is removed as soon as it answers)",
			path, names->name);
	return ret == 1 ? examiner_finish(examiner, view, err) : -ECANCELED;
}

int examine_guarded(
	const char *path, int64_t timeout_ms, struct doctor_view *view, struct error *err)
{
	struct examiner examiner = {
		.pid = -1,
		.pidfd = -1,
		.output = -1,
		.signals = -1,
		.deadline = clock_monotonic_ms() + timeout_ms,
	};
	struct probe_names names;
	int ret = probe_names_make(&names);

	signals_block(&examiner);
	if (ret == 0)
		ret = examiner_start(&examiner, path, &names, view);
	if (ret < 0)
		error_set(err, ret, "examine %s: %s", path, strerror(-ret));
	else
		ret = examiner_follow(&examiner, path, &names, view, err);
	closep(&examiner.output);
	closep(&examiner.pidfd);
	closep(&examiner.signals);
	sigprocmask(SIG_SETMASK, &examiner.before, NULL);
	return ret;
}
