/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "base/log_output.h"

/* What one log line of each level puts on a stderr that is this pipe. */
static void say_everything(const int pipe_fds[2], char *said, size_t size)
{
	_cleanup_(closep) int before = dup(STDERR_FILENO);
	ssize_t n;

	assert_true(before >= 0 && dup2(pipe_fds[1], STDERR_FILENO) >= 0);
	log_set_level(LOG_LEVEL_DEBUG);
	log_error("a");
	log_warning("b");
	log_notice("c");
	log_info("d");
	log_debug("e");
	dup2(before, STDERR_FILENO);
	n = read(pipe_fds[0], said, size - 1);
	assert_true(n > 0);
	said[n] = '\0';
}

/* @off is added to the inode, so that it is another's. */
static void call_it_journal(int fd, unsigned off)
{
	struct stat info;
	char text[64];

	assert_int_equal(fstat(fd, &info), 0);
	snprintf(text, sizeof(text), "%ju:%ju", (uintmax_t)info.st_dev,
		(uintmax_t)info.st_ino + off);
	assert_int_equal(setenv("JOURNAL_STREAM", text, 1), 0);
}

#define PLAIN                      \
	"vmlatch: a\n"             \
	"vmlatch: warning: b\n"    \
	"vmlatch: c\nvmlatch: d\n" \
	"vmlatch: debug: e\n"

static void the_journal_is_told_priorities(void **state)
{
	char said[256];
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	call_it_journal(fds[1], 0);
	say_everything(fds, said, sizeof(said));
	assert_string_equal(said, "<3>vmlatch: a\n"
				  "<4>vmlatch: warning: b\n"
				  "<5>vmlatch: c\n"
				  "<6>vmlatch: d\n"
				  "<7>vmlatch: debug: e\n");
	close(fds[0]);
	close(fds[1]);
}

/* Of a service whose output was redirected the variable is still there. */
static void nobody_else_is(void **state)
{
	char said[256];
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	call_it_journal(fds[1], 1);
	say_everything(fds, said, sizeof(said));
	assert_string_equal(said, PLAIN);
	unsetenv("JOURNAL_STREAM");
	say_everything(fds, said, sizeof(said));
	assert_string_equal(said, PLAIN);
	close(fds[0]);
	close(fds[1]);
}

/* What a process says that has no right to open its stderr anew, if @allowed is none. */
static int say_in_a_full(int end, bool allowed)
{
	static char filling[65536];
	pid_t child = fork();
	int status = -1;

	if (child == 0) {
		alarm(20);
		assert_true(dup2(end, STDERR_FILENO) >= 0);
		if (!allowed && (fchmod(end, 0) < 0 || (geteuid() == 0 && setuid(65534) < 0)))
			_exit(2);
		fcntl(end, F_SETFL, O_NONBLOCK);
		while (write(end, filling, sizeof(filling)) > 0 || write(end, filling, 1) > 0)
			;
		fcntl(end, F_SETFL, 0);
		log_output_never_wait();
		errno = EXDEV;
		log_error("nobody reads this");
		_exit(errno != EXDEV);
	}
	assert_true(child > 0 && waitpid(child, &status, 0) == child);
	return status;
}

static void a_line_that_nobody_takes_is_not_waited_for(void **state)
{
	int fds[2];
	size_t i;

	(void)state;
	for (i = 0; i < 2; i++) {
		assert_int_equal(pipe(fds), 0);
		assert_int_equal(say_in_a_full(fds[1], i), 0);
		close(fds[0]);
		close(fds[1]);
	}
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(say_in_a_full(fds[1], true), 0);
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_journal_is_told_priorities),
		cmocka_unit_test(nobody_else_is),
		cmocka_unit_test(a_line_that_nobody_takes_is_not_waited_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
