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
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/clock.h"
#include "base/error.h"
#include "base/fd.h"
#include "base/file.h"
#include "base/process.h"
#include "base/str.h"

static void an_error_keeps_its_code_and_sentence(void **state)
{
	struct error err = { 0 };

	(void)state;
	assert_int_equal(error_set(&err, -ENOENT, "open %s", "a"), -ENOENT);
	assert_int_equal(error_prefix(&err, -ENOENT, "start"), -ENOENT);
	assert_string_equal(err.text, "start: open a");
	assert_int_equal(error_set(NULL, -EIO, "nobody listens"), -EIO);
}

/* What is named and what is wrong with it are at the ends. */
static void a_sentence_that_is_too_long_lacks_its_middle(void **state)
{
	static const char *const letters[] = { "x", "\xc3\xbc", "\xe2\x82\xac",
		"\xf0\x9f\x92\xa9" };
	_cleanup_(freep) char *path = malloc(5000);
	char shown[4 * sizeof(((struct error *)0)->text)];
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(letters) / sizeof(*letters); i++) {
		struct error err = { 0 };

		for (j = 0; j < 4999; j++)
			path[j] = letters[i][j % strlen(letters[i])];
		path[4999 - 4999 % strlen(letters[i])] = '\0';
		error_set(&err, -ENOENT, "open /%s: No such file", path);
		assert_memory_equal(err.text, "open /", 6);
		assert_non_null(strstr(err.text, "..."));
		assert_non_null(strstr(err.text, ": No such file"));
		assert_true(strlen(err.text) > sizeof(err.text) - 8);
		assert_string_equal(str_printable(err.text, shown, sizeof(shown)), err.text);
		error_prefix(&err, -ENOENT, "start %s", path);
		assert_memory_equal(err.text, "start ", 6);
		assert_string_equal(strrchr(err.text, ':'), ": No such file");
		assert_string_equal(str_printable(err.text, shown, sizeof(shown)), err.text);
		memset(path, 0x80, 4999); /* of no character at all */
		error_set(&err, -ENOENT, "%s: No such file", path);
		assert_string_equal(strrchr(err.text, ':'), ": No such file");
	}
}

static void the_first_exit_status_that_is_named_stays(void **state)
{
	struct error err = { 0 };

	(void)state;
	error_status(&err, -1, 66);
	error_status(&err, -1, 71);
	assert_int_equal(err.status, 66);
}

static void what_moves_a_terminal_is_shown_as_hex(void **state)
{
	static const char *const pairs[][2] = {
		{ "plain", "plain" },
		{ "a\x1b[2Jb", "a\\x1b[2Jb" },
		{ "tab\there", "tab\\x09here" },
		{ "back\\slash", "back\\\\slash" },
		{ "gr\xc3\xbc\xc3\x9f", "gr\xc3\xbc\xc3\x9f" },
		{ "\xff\xfe", "\\xff\\xfe" },
		{ "\xc2\x9b", "\\xc2\\x9b" },          /* CSI as C1 */
		{ "\xe0\x80\xaf", "\\xe0\\x80\\xaf" }, /* overlong */
		{ "\xed\xa0\x80", "\\xed\\xa0\\x80" }, /* surrogate */
		{ "\xe2\x80\xae"
		  "a",
			"\\xe2\\x80\\xaea" },          /* right to left */
		{ "\xe2\x81\xa7", "\\xe2\\x81\\xa7" }, /* the same, by isolation */
		{ "\xe2\x80\xa8", "\\xe2\\x80\\xa8" }, /* a line's end */
		{ "cut\xe2\x82", "cut\\xe2\\x82" },
	};
	char out[64];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(pairs) / sizeof(pairs[0]); i++)
		assert_string_equal(str_printable(pairs[i][0], out, sizeof(out)), pairs[i][1]);
	assert_string_equal(str_printable("abcdef", out, 4), "abc");
}

static void numbers_are_read_whole_or_not_at_all(void **state)
{
	uint64_t n = 7;

	(void)state;
	assert_int_equal(str_to_u64("18446744073709551615", &n), 0);
	assert_true(n == UINT64_MAX);
	assert_int_equal(str_to_u64("18446744073709551616", &n), -ERANGE);
	assert_int_equal(str_to_u64("", &n), -EINVAL);
	assert_int_equal(str_to_u64("-1", &n), -EINVAL);
	assert_int_equal(str_to_u64("1 ", &n), -EINVAL);
}

static void descriptors_travel_over_a_socket(void **state)
{
	int pair[2], fds[4], sent[2] = { 0, 1 };
	size_t n = 4;
	char byte;

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair), 0);
	assert_int_equal(fd_send(pair[0], "x", 1, sent, 2), 0);
	assert_int_equal(fd_receive(pair[1], &byte, 1, fds, &n), 1);
	assert_int_equal(n, 2);
	assert_true(fcntl(fds[0], F_GETFD) & FD_CLOEXEC);
	fd_close_many(fds, n);
	close(pair[0]);
	n = 4;
	assert_int_equal(fd_receive(pair[1], &byte, 1, fds, &n), 0);
	close(pair[1]);
}

static void a_placed_descriptor_is_high_and_inherited(void **state)
{
	struct error err = { 0 };
	int base = fd_high_base(2, &err), fd = open("/dev/null", O_RDONLY | O_CLOEXEC), placed;

	(void)state;
	assert_true(base > 100);
	placed = fd_place(fd, base);
	assert_true(placed >= base);
	assert_int_equal(fcntl(placed, F_GETFD), 0);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	close(placed);
	assert_int_equal(fd_high_base((size_t)1 << 40, &err), -EMFILE);
	assert_non_null(strstr(err.text, "ulimit -n"));
}

/* QEMU has room on both sides, and starts wherever there is some. */
static void the_room_above_shrinks_with_the_limit(void **state)
{
	static const struct {
		rlim_t limit;
		size_t needed;
		int base;
	} rows[] = {
		{ 24, 4, 14 },
		{ 24, 13, -EMFILE },
		{ 32, 4, 20 },
		{ 32, 17, -EMFILE },
		{ 64, 4, 44 },
		{ 128, 4, 92 },
		{ 128, 64, 32 },
		{ 128, 65, -EMFILE },
		{ 256, 4, 188 },
		{ 640, 512, 64 },
		{ 640, 513, -EMFILE },
		{ 1024, 4, 956 },
	};
	struct rlimit before, now;
	size_t i;

	(void)state;
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct error err = { 0 };

		now = (struct rlimit){ rows[i].limit, before.rlim_max };
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &now), 0);
		assert_int_equal(fd_high_base(rows[i].needed, &err), rows[i].base);
		assert_int_equal(rows[i].base < 0, strstr(err.text, "ulimit -n") != NULL);
	}
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
}

static void a_file_is_replaced_in_one_step(void **state)
{
	char dir[] = "/tmp/vmlatch-base-XXXXXX";
	_cleanup_(freep) char *text = NULL;
	_cleanup_(closep) int at = -1;
	size_t len;

	(void)state;
	assert_non_null(mkdtemp(dir));
	at = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(file_replace_at(at, "f", "one", 3, 0600), 0);
	assert_int_equal(file_replace_at(at, "f", "second", 6, 0600), 0);
	assert_int_equal(file_read_at(at, "f", O_NOFOLLOW, 100, &text, &len), 0);
	assert_string_equal(text, "second");
	assert_int_equal(file_read_at(at, "f", 0, 3, &text, &len), -EFBIG);
	assert_int_equal(file_read_at(AT_FDCWD, dir, 0, 3, &text, &len), -EISDIR);
	unlinkat(at, "f", 0);
	assert_int_equal(rmdir(dir), 0); /* nothing was left behind */
}

static void a_process_is_known_by_pid_and_start_time(void **state)
{
	uint64_t start;

	(void)state;
	assert_int_equal(process_start_time(getpid(), &start), 0);
	assert_true(process_is_alive(getpid(), start));
	assert_false(process_is_alive(getpid(), start + 1));
	assert_false(process_is_alive(0, 0));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_error_keeps_its_code_and_sentence),
		cmocka_unit_test(a_sentence_that_is_too_long_lacks_its_middle),
		cmocka_unit_test(the_first_exit_status_that_is_named_stays),
		cmocka_unit_test(what_moves_a_terminal_is_shown_as_hex),
		cmocka_unit_test(numbers_are_read_whole_or_not_at_all),
		cmocka_unit_test(descriptors_travel_over_a_socket),
		cmocka_unit_test(a_placed_descriptor_is_high_and_inherited),
		cmocka_unit_test(the_room_above_shrinks_with_the_limit),
		cmocka_unit_test(a_file_is_replaced_in_one_step),
		cmocka_unit_test(a_process_is_known_by_pid_and_start_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
