/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/vm/notify.h"
#include "launcher/vm/service.h"
#include "tests/unit/temporary.h"

/* A service manager: a datagram socket, bound to this address. */
static int manager_open(const struct sockaddr_un *address, socklen_t size)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (const struct sockaddr *)address, size), 0);
	return fd;
}

static void expect_heard(int manager, const char *words)
{
	char said[8192] = "";
	ssize_t n = recv(manager, said, sizeof(said) - 1, 0);

	assert_true(n >= 0);
	assert_string_equal(said, words);
}

/* Below the test's directory; the longest path that there can be. */
static void path_of_manager(const struct temporary *dir, struct sockaddr_un *address)
{
	size_t len = strlen(dir->path);

	*address = (struct sockaddr_un){ .sun_family = AF_UNIX };
	memset(address->sun_path, 'x', sizeof(address->sun_path) - 1);
	memcpy(address->sun_path, dir->path, len);
	address->sun_path[len] = '/';
}

/* A manager at a path, and who tells it. */
struct told {
	struct temporary dir;
	int manager;
	struct notify notify;
};
#define TOLD_INIT                                     \
	{                                             \
		.manager = -1, .notify = NOTIFY_INIT, \
	}

static void told_begin(struct told *told)
{
	struct error err = { 0 };
	struct sockaddr_un address;

	assert_int_equal(temporary_make(&told->dir), 0);
	path_of_manager(&told->dir, &address);
	told->manager = manager_open(&address, sizeof(address));
	assert_int_equal(notify_open(&told->notify, address.sun_path, &err), 0);
}

static void told_finish(struct told *told)
{
	notify_close(&told->notify);
	closep(&told->manager);
	temporary_remove(&told->dir);
}

static void a_path_is_told(void **state)
{
	_cleanup_(told_finish) struct told told = TOLD_INIT;

	(void)state;
	told_begin(&told);
	assert_int_equal(notify_send(&told.notify, "READY=1\n"), 0);
	expect_heard(told.manager, "READY=1\n");
}

static void an_abstract_name_is_told(void **state)
{
	_cleanup_(notify_close) struct notify notify = NOTIFY_INIT;
	_cleanup_(closep) int manager = -1;
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	struct error err = { 0 };
	char name[64];
	int len;

	(void)state;
	len = snprintf(name, sizeof(name), "@vmlatch-test-%d", getpid());
	memcpy(address.sun_path + 1, name + 1, len - 1);
	manager = manager_open(&address, offsetof(struct sockaddr_un, sun_path) + len);
	assert_int_equal(notify_open(&notify, name, &err), 0);
	assert_int_equal(notify_send(&notify, "STOPPING=1\n"), 0);
	expect_heard(manager, "STOPPING=1\n");
}

static void what_is_no_address_is_refused_with_a_sentence(void **state)
{
	char path[sizeof(((struct sockaddr_un *)0)->sun_path) + 1] = "/";
	struct notify notify = NOTIFY_INIT;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(notify_open(&notify, "vsock:2:1", &err), -EAFNOSUPPORT);
	assert_non_null(strstr(err.text, "NOTIFY_SOCKET=vsock:2:1"));
	assert_int_equal(notify_open(&notify, "@", &err), -EAFNOSUPPORT);
	memset(path, '/', sizeof(path) - 1);
	assert_int_equal(notify_open(&notify, path, &err), -ENAMETOOLONG);
	assert_int_equal(notify.fd, -1);
}

static void the_environment_is_cleared_of_it(void **state)
{
	struct notify notify = NOTIFY_INIT;
	struct error err = { 0 };

	(void)state;
	setenv("NOTIFY_SOCKET", "/run/nobody", 1);
	setenv("WATCHDOG_USEC", "1", 1);
	setenv("WATCHDOG_PID", "1", 1);
	assert_int_equal(notify_take(&notify, &err), 0);
	assert_true(notify.fd >= 0);
	assert_int_equal(notify_send(&notify, "READY=1\n"), -ENOENT);
	notify_close(&notify);
	assert_null(getenv("NOTIFY_SOCKET"));
	assert_null(getenv("WATCHDOG_USEC"));
	assert_null(getenv("WATCHDOG_PID"));
	setenv("NOTIFY_SOCKET", "odd", 1);
	assert_int_equal(notify_take(&notify, &err), -EAFNOSUPPORT);
	assert_null(getenv("NOTIFY_SOCKET"));
}

/* Whom it is said to, and in which time, to how often it is due. */
static void a_watchdog_is_fed_twice_in_its_time(void **state)
{
	char self[16];
	const struct {
		const char *usec, *pid;
		uint64_t beat_ms;
	} rows[] = {
		{ "3000000", self, 1501 },
		{ "3000000", NULL, 1501 },
		{ "1", self, 1 },
		{ "3000000", "1", 0 },
		{ "0", self, 0 },
		{ "3s", self, 0 },
	};
	struct error err = { 0 };
	size_t i;

	(void)state;
	snprintf(self, sizeof(self), "%d", getpid());
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(notify_close) struct notify notify = NOTIFY_INIT;

		setenv("NOTIFY_SOCKET", "/run/nobody", 1);
		setenv("WATCHDOG_USEC", rows[i].usec, 1);
		if (rows[i].pid)
			setenv("WATCHDOG_PID", rows[i].pid, 1);
		assert_int_equal(notify_take(&notify, &err), 0);
		assert_int_equal(notify.beat_ms, rows[i].beat_ms);
	}
}

static void without_a_manager_there_is_nothing_to_do(void **state)
{
	struct notify notify = NOTIFY_INIT;
	struct error err = { 0 };

	(void)state;
	unsetenv("NOTIFY_SOCKET");
	assert_int_equal(notify_take(&notify, &err), 0);
	assert_int_equal(notify.fd, -1);
	assert_int_equal(notify_send(&notify, "READY=1\n"), 0);
	notify_refusal(&notify, "nothing");
}

/* It may hang for good: nobody waits for it. */
static void a_manager_that_reads_nothing_is_not_waited_for(void **state)
{
	_cleanup_(told_finish) struct told told = TOLD_INIT;
	int i, ret = 0;

	(void)state;
	told_begin(&told);
	for (i = 0; i < 100000 && ret == 0; i++)
		ret = notify_send(&told.notify, "STATUS=still\n");
	assert_int_equal(ret, -EAGAIN);
	expect_heard(told.manager, "STATUS=still\n");
	assert_int_equal(notify_send(&told.notify, "STATUS=still\n"), 0);
}

static void a_sentence_is_one_line(void **state)
{
	_cleanup_(told_finish) struct told told = TOLD_INIT;

	(void)state;
	told_begin(&told);
	notify_refusal(&told.notify, "a\nREADY=1\n\xff");
	expect_heard(told.manager, "STATUS=not started: a\\x0aREADY=1\\x0a\\xff\n");
}

static void ready_is_what_runs_or_may_run_under_its_locks(void **state)
{
	const struct {
		bool stay, incoming;
		uint64_t ready; /* a bit for each state */
	} rows[] = {
		{ false, false, 1 << SUP_RUNNING | 1 << SUP_DRAINING },
		{ true, false, 1 << SUP_RUNNING | 1 << SUP_DRAINING | 1 << SUP_PAUSED },
		{ false, true, 1 << SUP_RUNNING | 1 << SUP_DRAINING | 1 << SUP_RELEASED },
	};
	unsigned i, sup;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		for (sup = 0; sup < SUP_N_STATES; sup++) {
			const struct service_view view = {
				.sup = sup,
				.stay = rows[i].stay,
				.incoming = rows[i].incoming,
			};

			assert_int_equal(service_is_ready(&view), rows[i].ready >> sup & 1);
		}
	}
}

static char run[] = "running", paused[] = "paused", two[] = "a\nb", way[] = "do this",
	    job[] = "a job";
static const struct {
	enum supervisor_state sup;
	struct vm_state state;
	const char *refusal;
	const char *words;
} lines[] = {
	{ SUP_STARTING, { .run_state = NULL }, NULL, "starting: it takes its locks" },
	{ SUP_ENDING, { .run_state = NULL }, "x is in use", "not started: x is in use" },
	{ SUP_ENDING, { .run_state = NULL }, NULL, "ending" },
	{ SUP_RUNNING, { .run_state = run, .lock_state = VM_LOCK_HELD }, NULL,
		"running, locks held" },
	{ SUP_RUNNING, { .run_state = run, .lock_state = VM_LOCK_NONE }, NULL,
		"running, locks none" },
	{ SUP_RELEASED,
		{ .run_state = paused,
			.lock_state = VM_LOCK_RELEASED,
			.cause = CAUSE_IO_ERROR,
			.cause_detail = two,
			.remedy = way },
		NULL, "paused, locks released (io-error: a\\x0ab); do this" },
	{ SUP_PAUSED,
		{ .run_state = paused,
			.lock_state = VM_LOCK_HELD,
			.cause = CAUSE_USER,
			.held_because = job,
			.remedy = way },
		NULL, "paused, locks held (user); they stay: a job; do this" },
	{ SUP_LOST,
		{ .run_state = run,
			.frozen = true,
			.lock_state = VM_LOCK_LOST,
			.cause = CAUSE_LOCK_LOST },
		NULL, "frozen, locks lost (lock-lost)" },
};

static void how_a_vm_is_stands_in_one_line(void **state)
{
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		_cleanup_(str_finish) struct str text = { 0 };
		const struct service_view view = {
			.sup = lines[i].sup,
			.state = &lines[i].state,
			.refusal = lines[i].refusal,
		};

		service_describe(&view, &text);
		assert_string_equal(text.text, lines[i].words);
	}
}

/* systemd would pass over all of it. */
static void what_is_told_fits_into_one_datagram(void **state)
{
	static char text[4 * NOTIFY_MAX];
	struct vm_state vm = {
		.run_state = text,
		.lock_state = VM_LOCK_HELD,
		.cause = CAUSE_IO_ERROR,
		.cause_detail = text,
		.held_because = text,
		.remedy = text,
	};
	const struct service_view view = { .sup = SUP_PAUSED, .state = &vm };
	_cleanup_(told_finish) struct told told = TOLD_INIT;
	_cleanup_(str_finish) struct str described = { 0 };
	char heard[2 * NOTIFY_MAX];

	(void)state;
	memset(text, '\n', sizeof(text) - 1); /* each becomes four */
	service_describe(&view, &described);
	assert_in_range(described.len, 1024, NOTIFY_MAX - 256);
	told_begin(&told);
	notify_refusal(&told.notify, text);
	assert_in_range(recv(told.manager, heard, sizeof(heard), 0), 1024, NOTIFY_MAX - 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_is_told),
		cmocka_unit_test(an_abstract_name_is_told),
		cmocka_unit_test(what_is_no_address_is_refused_with_a_sentence),
		cmocka_unit_test(the_environment_is_cleared_of_it),
		cmocka_unit_test(a_watchdog_is_fed_twice_in_its_time),
		cmocka_unit_test(without_a_manager_there_is_nothing_to_do),
		cmocka_unit_test(a_manager_that_reads_nothing_is_not_waited_for),
		cmocka_unit_test(a_sentence_is_one_line),
		cmocka_unit_test(ready_is_what_runs_or_may_run_under_its_locks),
		cmocka_unit_test(how_a_vm_is_stands_in_one_line),
		cmocka_unit_test(what_is_told_fits_into_one_datagram),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
