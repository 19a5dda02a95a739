/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/fd.h"
#include "base/file.h"
#include "qmp/client.h"
#include "wire.h"

#define REAL_QEMU "qemu-system-x86_64"

/* QEMU, or the stand-in, as vmlatch starts it; and a client that notes all it hears. */
struct test {
	struct wire wire;
	struct qmp_client *client;
	struct str log;
	char dir[32];
	char socket[64];
	char script[64];
	char record[64];
	pid_t pid;
};

static void on_ready(void *data, json_t *greeting)
{
	(void)greeting;
	str_append(&((struct test *)data)->log, "ready ");
}

static void on_event(void *data, const char *name, json_t *event, const char *raw, size_t raw_len)
{
	(void)event;
	(void)raw;
	(void)raw_len;
	str_printf(&((struct test *)data)->log, "%s ", name);
}

static void on_closed(void *data, const char *reason)
{
	str_printf(&((struct test *)data)->log, "closed:%s ", reason);
}

static const struct qmp_client_ops ops = { on_ready, on_event, on_closed };

static void on_reply(void *data, const struct qmp_reply *reply)
{
	const char *status = json_string_value(json_object_get(reply->value, "status"));
	struct test *test = data;

	if (reply->result == QMP_DONE)
		str_printf(&test->log, "%s ", status ? status : "ok");
	else if (reply->result == QMP_REFUSED)
		str_printf(&test->log, "%s ", reply->class);
	else
		str_printf(&test->log, "%s ", strerrorname_np(-reply->result));
}

static void call_with(
	struct test *test, const char *command, json_t *arguments, const struct qmp_call *call)
{
	assert_int_equal(qmp_client_call(test->client, command, arguments, call), 0);
}

static void call(struct test *test, const char *command)
{
	call_with(test, command, NULL, &(struct qmp_call){ on_reply, test, 0, -1 });
}

static void expect_log(struct test *test, const char *expected)
{
	RUN_UNTIL(&test->wire.loop, test->log.len >= strlen(expected));
	assert_string_equal(test->log.text, expected);
	test->log.len = 0;
}

static int make_listener(struct test *test)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	strcpy(address.sun_path, test->socket);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	assert_int_equal(listen(fd, 4), 0);
	return fd;
}

static int make_config(int listener)
{
	int fd = memfd_create("vmlatch-test", MFD_CLOEXEC);
	struct str text = { 0 };

	str_printf(&text,
		"[chardev \"vmlatch\"]\nbackend = \"socket\"\nfd = \"%d\"\nserver = \"on\"\n"
		"wait = \"off\"\n[mon \"vmlatch\"]\nchardev = \"vmlatch\"\nmode = \"control\"\n",
		listener);
	assert_int_equal(fd_write_all(fd, text.text, text.len), 0);
	str_finish(&text);
	return fd;
}

/* In the child: comes back only if there is no such program. */
static void become_qemu(const struct test *test, const char *binary, int listener, int config)
{
	char readconfig[32];

	prctl(PR_SET_PDEATHSIG, SIGKILL);
	snprintf(readconfig, sizeof(readconfig), "/dev/fd/%d", config);
	fd_set_cloexec(listener, false);
	fd_set_cloexec(config, false);
	setenv("FAKE_QEMU_LOG", test->record, 1);
	if (access(test->script, F_OK) == 0)
		setenv("FAKE_QEMU_SCRIPT", test->script, 1);
	execlp(binary, binary, "-S", "-readconfig", readconfig, "-nodefaults", "-display", "none",
		"-accel", "tcg", "-name", "guest=test", (char *)NULL);
}

static void write_script(const struct test *test, const char *script)
{
	_cleanup_(closep) int fd =
		open(test->script, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);

	assert_int_equal(fd_write_all(fd, script, strlen(script)), 0);
}

static void begin(struct test *test, const char *binary, const char *script)
{
	_cleanup_(closep) int listener = -1, config = -1;
	struct error err;

	*test = (struct test){ 0 };
	wire_open(&test->wire);
	strcpy(test->dir, "/tmp/vmlatch-fake-XXXXXX");
	assert_non_null(mkdtemp(test->dir));
	snprintf(test->socket, sizeof(test->socket), "%s/socket", test->dir);
	snprintf(test->script, sizeof(test->script), "%s/script", test->dir);
	snprintf(test->record, sizeof(test->record), "%s/record", test->dir);
	if (script)
		write_script(test, script);
	listener = make_listener(test);
	config = make_config(listener);
	test->pid = fork();
	if (test->pid == 0) {
		become_qemu(test, binary, listener, config);
		_exit(127);
	}
	close(test->wire.near);
	assert_int_equal(qmp_client_new(&test->wire.loop, wire_connect(test->socket), &ops, test,
				 &test->client, &err),
		0);
}

/* The wait status, as a shell would say it. */
static int wait_for_end(struct test *test)
{
	int64_t deadline = clock_monotonic_ms() + WIRE_DEADLINE_MS;
	int status;

	while (waitpid(test->pid, &status, WNOHANG) == 0) {
		assert_true(clock_monotonic_ms() < deadline);
		clock_sleep_ms(2);
	}
	test->pid = 0;
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static void end(struct test *test)
{
	if (test->pid) {
		kill(test->pid, SIGKILL);
		wait_for_end(test);
	}
	qmp_client_free(test->client);
	wire_close(&test->wire);
	str_finish(&test->log);
	unlink(test->socket);
	unlink(test->script);
	unlink(test->record);
	assert_int_equal(rmdir(test->dir), 0);
}

static const char *fake(void)
{
	assert_non_null(getenv("FAKE_QEMU"));
	return getenv("FAKE_QEMU");
}

static void need_real_qemu(void)
{
	if (system("command -v " REAL_QEMU " >/dev/null") == 0)
		return;
	if (getenv("CI"))
		fail_msg("%s is not there", REAL_QEMU);
	print_message("%s is not there\n", REAL_QEMU);
	skip();
}

/* What the model and QEMU must have in common. */
static void live_a_life(const char *binary)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
	struct test test;

	begin(&test, binary, NULL);
	expect_log(&test, "ready ");
	call(&test, "query-status");
	call(&test, "cont");
	call(&test, "query-status");
	call(&test, "stop");
	call(&test, "query-status");
	call(&test, "no-such-command");
	expect_log(&test, "prelaunch RESUME ok running STOP ok paused CommandNotFound ");
	call_with(&test, "getfd", json_pack("{s:s}", "fdname", "a"),
		&(struct qmp_call){ on_reply, &test, 0, fd });
	call_with(&test, "getfd", json_pack("{s:s}", "fdname", "b"),
		&(struct qmp_call){ on_reply, &test, 0, -1 });
	call_with(&test, "closefd", json_pack("{s:s}", "fdname", "a"),
		&(struct qmp_call){ on_reply, &test, 0, -1 });
	call_with(&test, "closefd", json_pack("{s:s}", "fdname", "a"),
		&(struct qmp_call){ on_reply, &test, 0, -1 });
	expect_log(&test, "ok GenericError ok GenericError ");
	call_with(&test, "xen-save-devices-state", json_pack("{s:s}", "filename", "/dev/null"),
		&(struct qmp_call){ on_reply, &test, 0, -1 });
	call(&test, "query-jobs");
	call(&test, "query-block-jobs");
	call(&test, "query-block-exports");
	call(&test, "query-named-block-nodes");
	call(&test, "query-migrate");
	call(&test, "query-name");
	call(&test, "query-version");
	expect_log(&test, "ok ok ok ok ok ok ok ok ");
	call(&test, "quit");
	expect_log(&test, "SHUTDOWN ok closed:the peer has closed the connection ");
	assert_int_equal(wait_for_end(&test), 0);
	close(fd);
	end(&test);
}

static void the_model_lives_as_qemu_does(void **state)
{
	(void)state;
	live_a_life(fake());
}

static void qemu_lives_as_the_model_does(void **state)
{
	(void)state;
	need_real_qemu();
	live_a_life(REAL_QEMU);
}

/* QEMU keeps one descriptor at a time: this proves that the next one waits for its turn. */
static void pass_many_descriptors(const char *binary)
{
	int fd = open("/dev/null", O_RDONLY | O_CLOEXEC), i;
	const char *all = "ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ok ";
	struct test test;
	char name[16];

	begin(&test, binary, NULL);
	expect_log(&test, "ready ");
	for (i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "fd-%d", i);
		call_with(&test, "getfd", json_pack("{s:s}", "fdname", name),
			&(struct qmp_call){ on_reply, &test, 0, fd });
	}
	expect_log(&test, all);
	for (i = 0; i < 16; i++) {
		snprintf(name, sizeof(name), "fd-%d", i);
		call_with(&test, "closefd", json_pack("{s:s}", "fdname", name),
			&(struct qmp_call){ on_reply, &test, 0, -1 });
	}
	expect_log(&test, all);
	close(fd);
	end(&test);
}

static void descriptors_in_a_row_all_arrive(void **state)
{
	(void)state;
	pass_many_descriptors(fake());
	need_real_qemu();
	pass_many_descriptors(REAL_QEMU);
}

static void a_reply_with_everything_is_taken(void **state)
{
	struct test test;

	(void)state;
	need_real_qemu();
	begin(&test, REAL_QEMU, NULL);
	expect_log(&test, "ready ");
	call(&test, "query-qmp-schema"); /* 200 kB */
	call(&test, "query-status");
	expect_log(&test, "ok prelaunch ");
	end(&test);
}

static void check_record(const struct test *test, const char *expected)
{
	_cleanup_(freep) char *text = NULL;
	struct str commands = { 0 };
	char *line, *rest;

	assert_int_equal(file_read_at(AT_FDCWD, test->record, 0, 1 << 20, &text, NULL), 0);
	for (line = strtok_r(text, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
		json_t *entry = json_loads(line, 0, NULL);
		const char *command = json_string_value(json_object_get(entry, "execute"));
		const char *signal_name = json_string_value(json_object_get(entry, "signal"));

		if (command || signal_name)
			str_printf(&commands, "%s ", command ? command : signal_name);
		json_decref(entry);
	}
	assert_string_equal(commands.text, expected);
	str_finish(&commands);
}

static void a_script_is_played_and_recorded(void **state)
{
	struct test test;

	(void)state;
	begin(&test, fake(),
		"# a watchdog stops the guest\n"
		"event WATCHDOG {\"action\": \"pause\"}\n"
		"status watchdog\n"
		"event STOP\n"
		"expect query-status\n"
		"reply {\"status\": \"watchdog\", \"running\": false}\n"
		"expect cont\n"
		"error DeviceNotFound not now\n"
		"default\n");
	expect_log(&test, "ready WATCHDOG STOP ");
	call(&test, "query-status");
	call(&test, "cont");
	call(&test, "query-status");
	expect_log(&test, "watchdog DeviceNotFound watchdog ");
	check_record(&test, "qmp_capabilities query-status cont query-status ");
	end(&test);
}

static void an_unexpected_command_ends_the_script(void **state)
{
	struct test test;

	(void)state;
	begin(&test, fake(), "expect stop\nreply\n");
	expect_log(&test, "ready ");
	call(&test, "cont");
	expect_log(&test, "ECONNRESET closed:the peer has closed the connection ");
	assert_int_equal(wait_for_end(&test), 99);
	end(&test);
}

static void a_slow_answer_is_passed_over_when_it_comes(void **state)
{
	struct test test;

	(void)state;
	begin(&test, fake(), "once stop delay-ms 300\n");
	expect_log(&test, "ready ");
	call_with(&test, "stop", NULL, &(struct qmp_call){ on_reply, &test, 50, -1 });
	call(&test, "query-status");
	expect_log(&test, "ETIMEDOUT prelaunch ");
	call(&test, "stop");
	expect_log(&test, "ok ");
	end(&test);
}

static void a_qemu_that_hangs_is_noticed_by_deadline(void **state)
{
	struct test test;

	(void)state;
	begin(&test, fake(), "on cont hang\n");
	expect_log(&test, "ready ");
	call_with(&test, "cont", NULL, &(struct qmp_call){ on_reply, &test, 100, -1 });
	expect_log(&test, "ETIMEDOUT ");
	kill(test.pid, SIGTERM);
	clock_sleep_ms(50);
	assert_int_equal(waitpid(test.pid, NULL, WNOHANG), 0);
	end(&test);
}

static void a_qemu_that_dies_ends_the_calls(void **state)
{
	struct test test;

	(void)state;
	begin(&test, fake(), "on stop delay-ms 300\non stop die SIGKILL\n");
	expect_log(&test, "ready ");
	call(&test, "stop");
	call(&test, "query-status");
	expect_log(&test, "ECONNRESET ECONNRESET closed:the peer has closed the connection ");
	assert_int_equal(wait_for_end(&test), 128 + SIGKILL);
	end(&test);
}

static void sigterm_is_an_orderly_end(void **state)
{
	struct test test;

	(void)state;
	begin(&test, fake(), NULL);
	expect_log(&test, "ready ");
	kill(test.pid, SIGTERM);
	expect_log(&test, "SHUTDOWN closed:the peer has closed the connection ");
	assert_int_equal(wait_for_end(&test), 0);
	check_record(&test, "qmp_capabilities SIGTERM ");
	end(&test);
}

static void a_wrong_greeting_is_told(void **state)
{
	struct test test;

	(void)state;
	begin(&test, fake(), "greeting HTTP/1.1 400 Bad Request\\r\\n\n");
	expect_log(&test, "closed:garbled at byte 0: a byte that does not belong there ");
	end(&test);
}

static void a_monitor_can_be_reached_again(void **state)
{
	struct error err;
	struct test test;

	(void)state;
	begin(&test, fake(), "once stop close\n");
	expect_log(&test, "ready ");
	call(&test, "stop");
	expect_log(&test, "ECONNRESET closed:the peer has closed the connection ");
	qmp_client_free(test.client);
	assert_int_equal(qmp_client_new(&test.wire.loop, wire_connect(test.socket), &ops, &test,
				 &test.client, &err),
		0);
	expect_log(&test, "ready ");
	call(&test, "query-status");
	expect_log(&test, "prelaunch ");
	end(&test);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_model_lives_as_qemu_does),
		cmocka_unit_test(qemu_lives_as_the_model_does),
		cmocka_unit_test(descriptors_in_a_row_all_arrive),
		cmocka_unit_test(a_reply_with_everything_is_taken),
		cmocka_unit_test(a_script_is_played_and_recorded),
		cmocka_unit_test(an_unexpected_command_ends_the_script),
		cmocka_unit_test(a_slow_answer_is_passed_over_when_it_comes),
		cmocka_unit_test(a_qemu_that_hangs_is_noticed_by_deadline),
		cmocka_unit_test(a_qemu_that_dies_ends_the_calls),
		cmocka_unit_test(sigterm_is_an_orderly_end),
		cmocka_unit_test(a_wrong_greeting_is_told),
		cmocka_unit_test(a_monitor_can_be_reached_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
