/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/journal.h"
#include "base/unix_socket.h"
#include "temporary.h"

static void the_unit_is_the_first_that_is_no_slice(void **state)
{
	static const struct {
		const char *groups, *unit;
	} rows[] = {
		{ "0::/system.slice/system-vmlatch.slice/vmlatch@web1.service\n",
			"vmlatch@web1.service" },
		{ "0::/system.slice/a.service/sub\n", "a.service" },
		{ "0::/user.slice/user-0.slice/user@0.service/app.slice/b.service\n",
			"user@0.service" },
		{ "0::/user.slice/user-0.slice/session-1.scope\n", "session-1.scope" },
		{ "0::/system.slice/_cpu.service\n", "cpu.service" },
		{ "0::/system.slice/a\\x2db.service", "a\\x2db.service" },
		{ "12:cpu:/x.service\n1:name=systemd:/system.slice/c.service\n0::/\n",
			"c.service" },
		{ "0::/\n", NULL },
		{ "0::/machine\n", NULL },
		{ "0::/.service\n", NULL },
		{ "0::/a.slice\n", NULL },
		{ "12:cpu:/x.service\n", NULL },
		{ "10::/x.service\n", NULL },
		{ "", NULL },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(freep) char *unit = journal_unit_of(rows[i].groups);

		if (!rows[i].unit)
			assert_null(unit);
		else
			assert_string_equal(unit ? unit : "none", rows[i].unit);
	}
}

/* A journal, and a stream to it as systemd makes one. */
struct journal {
	struct temporary dir;
	char *path;
	int listener, stream;
};

static void journal_make(struct journal *journal)
{
	struct error err = { 0 };

	assert_int_equal(temporary_make(&journal->dir), 0);
	journal->path = temporary_path(&journal->dir, "stdout");
	journal->listener = unix_socket_listen(journal->path, NULL, &err);
	journal->stream = unix_socket_connect(journal->path, &err);
	assert_true(journal->listener >= 0 && journal->stream >= 0);
	close(accept(journal->listener, NULL, NULL));
}

static void journal_finish(struct journal *journal)
{
	close(journal->listener);
	close(journal->stream);
	free(journal->path);
	temporary_remove(&journal->dir);
}

static void a_plain_stream_is_of_that_unit_and_without_levels(void **state)
{
	_cleanup_(closep) int fd = -1, peer = -1;
	struct timeval patience = { .tv_sec = 1 };
	socklen_t size = sizeof(patience);
	struct journal journal;
	char text[128] = "";

	(void)state;
	journal_make(&journal);
	fd = journal_open_plain(journal.stream, "name", "a.service");
	assert_true(fd >= 0);
	assert_true(journal_is_same(fd, journal.stream));
	assert_int_equal(fcntl(fd, F_GETFD), FD_CLOEXEC);
	assert_int_equal(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, &size), 0);
	assert_int_equal(patience.tv_sec + patience.tv_usec, 0);
	peer = accept(journal.listener, NULL, NULL);
	assert_int_equal(fd_write_all(fd, "<0>x\n", 5), 0);
	close(take_fd(&fd));
	assert_true(fd_read_all(peer, text, sizeof(text) - 1) > 0);
	assert_string_equal(text, "name\na.service\n30\n0\n0\n0\n0\n<0>x\n");
	journal_finish(&journal);
}

static void what_is_no_journal_or_does_not_listen_any_more_gives_none(void **state)
{
	struct journal journal;
	int pair[2];

	(void)state;
	journal_make(&journal);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(journal_open_plain(pair[0], "name", NULL), -EAFNOSUPPORT);
	assert_int_equal(journal_open_plain(-1, "name", NULL), -EBADF);
	assert_false(journal_is_same(pair[0], journal.stream));
	close(take_fd(&journal.listener));
	assert_int_equal(journal_open_plain(journal.stream, "name", NULL), -ECONNREFUSED);
	close(pair[0]);
	close(pair[1]);
	journal_finish(&journal);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_unit_is_the_first_that_is_no_slice),
		cmocka_unit_test(a_plain_stream_is_of_that_unit_and_without_levels),
		cmocka_unit_test(what_is_no_journal_or_does_not_listen_any_more_gives_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
