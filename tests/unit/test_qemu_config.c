/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/inotify.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "base/str.h"
#include "chain_fixture.h"
#include "launcher/disks/config_read.h"
#include "launcher/disks/keyval.h"
#include "launcher/disks/qemu_config.h"

static int section_show(void *data, const char *group, json_t *options)
{
	_cleanup_(freep) char *text = json_dumps(options, JSON_COMPACT);

	str_printf(data, "%s%s ", group, text);
	return 0;
}

static char *parse(const char *text, size_t len, int *code, struct error *err)
{
	struct str out = { 0 };

	*code = qemu_config_parse(text, len, section_show, &out, err);
	str_append(&out, "");
	return str_take(&out);
}

/* As its sscanf() calls take it, however odd. */
static void a_config_file_is_read_as_qemu_reads_it(void **state)
{
	static const char *const rows[][2] = {
		{ "", "" },
		{ "\n# comment\n\n", "" },
		{ "[machine]\n", "machine{} " },
		{ "[drive \"d\"]\n  file = \"a.img\"\n",
			"drive{\"id\":\"d\",\"file\":\"a.img\"} " },
		{ "[drive]\nfile = \"a,b\"", "drive{\"file\":\"a,b\"} " },
		{ "[a]\nx = \"1\"\n[b]\ny = \"2\"\n", "a{\"x\":\"1\"} b{\"y\":\"2\"} " },
		{ "[a]\nx = \"1\"\nx = \"2\"\n", "a{\"x\":\"2\"} " },
		{ "[a]\nx = \"\"\n", "a{\"x\":\"\"} " },
		{ "[a]\nx.y = \"# no comment\" # one\n", "a{\"x.y\":\"# no comment\"} " },
		/* no blanks around '=', no quotes: a name without a value */
		{ "[a]\nx=\"1\"\n", "a{\"x=\\\"1\\\"\":\"\"} " },
		{ "[a]\nx = 1\n", "a{\"x\":\"\"} " },
		{ "[a \"\"]\nx = \"1\"\n", "a \"\"{\"x\":\"1\"} " },
		{ "[a \"i\"] rest\r\nx = \"1\"\r\n", "a{\"id\":\"i\",\"x\":\"1\"} " },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct error err = { 0 };
		int code;
		_cleanup_(freep) char *out = parse(rows[i][0], strlen(rows[i][0]), &code, &err);

		assert_int_equal(code, 0);
		assert_string_equal(out, rows[i][1]);
	}
}

static void what_qemu_refuses_is_refused(void **state)
{
	static const char *const rows[][3] = {
		{ "x = \"1\"\n", "line 1: a setting before", "" },
		{ "[a]\nx = \"1\"\n \n", "line 3: neither", "" },
		{ "[]\n", "line 1", "" },
		{ "[a]\n[b]\n\t\n", "line 3", "a{} " },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		struct error err = { 0 };
		int code;
		_cleanup_(freep) char *out = parse(rows[i][0], strlen(rows[i][0]), &code, &err);

		assert_int_equal(code, -EINVAL);
		if (!strstr(err.text, rows[i][1]))
			fail_msg("'%s' does not say '%s'", err.text, rows[i][1]);
		assert_string_equal(out, rows[i][2]);
	}
}

static void lines_and_names_have_qemus_bounds(void **state)
{
	char text[4096];
	struct error err = { 0 };
	int code;
	_cleanup_(freep) char *out = NULL;

	(void)state;
	/* a line of 1,023 bytes, and what is left of it as a line of its own */
	snprintf(text, sizeof(text), "[a]\nx = \"%01014d\"\n", 0);
	out = parse(text, strlen(text), &code, &err);
	assert_int_equal(code, 0);
	assert_null(strstr(out, "\\"));
	free(out);
	snprintf(text, sizeof(text), "[a]\nx = \"%01019d\"\n", 7);
	out = parse(text, strlen(text), &code, &err);
	assert_int_equal(code, 0);
	assert_non_null(strstr(out, "00\",\"7\\\"\":\"\"}"));
	free(out);
	snprintf(text, sizeof(text), "[%064d \"i\"]\n", 0);
	out = parse(text, strlen(text), &code, &err);
	assert_int_equal(code, 0);
	assert_int_equal(strlen(out), 63 + strlen("{} "));
}

static int fake_read(const char *name, struct str *ret, struct error *err)
{
	if (strcmp(name, QEMU_DEFAULT_CONFIG) == 0)
		str_append(ret, "[drive \"e\"]\nfile = \"default\"\n");
	else if (strcmp(name, "none") == 0)
		return error_set(err, COMMAND_LINE_NO_CONFIG, "not there");
	else if (strcmp(name, "lost") == 0)
		return error_set(err, -EIO, "gone");
	else
		str_append(ret, name);
	return 0;
}

#define FILE_A "file = \"a\"\n"

/* What the drives of a command line name, and how each is used. */
static void sections_are_as_the_options_of_their_names(void **state)
{
	static const struct {
		const char *config;
		const char *more[3];
		const char *file; /* of the last image; NULL: none */
		const char *origin;
		unsigned uses; /* of d */
		size_t monitors, notes;
	} rows[] = {
		{ "[drive \"d\"]\n" FILE_A, { 0 }, "a", "[drive \"d\"]", 7, 0, 0 },
		{ "[drive \"d\"]\n" FILE_A "if = \"none\"\n", { 0 }, "a", "", 0, 0, 0 },
		{ "[drive \"d\"]\n" FILE_A "if = \"none\"\n", { "-set", "drive.d.file=b" }, "b", "",
			0, 0, 0 },
		{ "[device]\ndriver = \"ide-cd\"\ndrive = \"d\"\n", { 0 }, NULL, "", 3, 0, 0 },
		{ "[machine]\npflash1 = \"d\"\n", { 0 }, NULL, "", 7, 0, 0 },
		{ "[global]\nproperty = \"drive\"\nvalue = \"d\"\n", { 0 }, NULL, "", 7, 0, 0 },
		{ "[mon \"m\"]\nmode = \"control\"\n", { 0 }, NULL, "", 0, 1, 0 },
		{ "[vnc \"default\"]\nvnc = \":0\"\n", { 0 }, NULL, "", 0, 0, 0 },
		{ "[unknown]\nfile = \"x\"\n", { 0 }, NULL, "", 0, 0, 0 },
		{ "none", { 0 }, NULL, "", 0, 1, 1 },
		{ "nonsense", { 0 }, NULL, "", 0, 1, 1 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(*rows); i++) {
		_cleanup_(command_line_finish) struct command_line line = { 0 };
		char *argv[] = { "qemu", "-no-user-config", "-nodefaults", "-display", "none",
			"-readconfig", (char *)rows[i].config, (char *)rows[i].more[0],
			(char *)rows[i].more[1], NULL };

		assert_int_equal(command_line_parse(argv, fake_read, &line, NULL), 0);
		assert_int_equal(line.n_images, rows[i].file != NULL);
		if (rows[i].file) {
			assert_string_equal(keyval_text(line.images[0].node, NODE_PSEUDO_FILENAME),
				rows[i].file);
			assert_non_null(strstr(line.images[0].origin, rows[i].origin));
		}
		assert_int_equal(command_line_uses(&line, "d"), rows[i].uses);
		assert_int_equal(line.monitors.n, rows[i].monitors);
		assert_int_equal(line.notes.n, rows[i].notes);
	}
}

static void facts_stand_in_config_files_too(void **state)
{
	char *argv[] = { "qemu", "-readconfig",
		"[name]\nguest = \"g\"\n[action]\nshutdown = \"pause\"\n", NULL };
	_cleanup_(command_line_finish) struct command_line line = { 0 };

	(void)state;
	assert_int_equal(command_line_parse(argv, fake_read, &line, NULL), 0);
	assert_string_equal(line.name, "g");
	assert_true(line.shutdown_pauses);
}

static void the_default_config_comes_first_unless_it_is_forbidden(void **state)
{
	char *with[] = { "qemu", "-hda", "a", "-name", "-no-user-config", NULL };
	char *without[] = { "qemu", "-hda", "a", "--no-user-config", NULL };
	_cleanup_(command_line_finish) struct command_line line = { 0 };

	(void)state;
	assert_int_equal(command_line_parse(with, fake_read, &line, NULL), 0);
	assert_int_equal(line.n_images, 2);
	assert_string_equal(line.images[0].origin, QEMU_DEFAULT_CONFIG " [drive \"e\"]");
	command_line_finish(&line);
	assert_int_equal(command_line_parse(without, fake_read, &line, NULL), 0);
	assert_int_equal(line.n_images, 1);
}

static void a_config_that_is_lost_ends_everything(void **state)
{
	char *argv[] = { "qemu", "-readconfig", "lost", "-hda", "a", NULL };
	struct command_line line;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(command_line_parse(argv, fake_read, &line, &err), -EIO);
	assert_string_equal(err.text, "lost: gone");
}

static void put_text(const char *name, const char *text)
{
	chain_put(name, text, strlen(text));
}

static void read_expect(const char *name, int wanted, const char *text)
{
	_cleanup_(str_finish) struct str found = { 0 };
	struct error err = { 0 };

	assert_int_equal(config_read(name, &found, &err), wanted);
	assert_string_equal(wanted == 0 ? (found.text ? found.text : "") : err.text, text);
}

#define NO_FILE "no file, so it is left to QEMU: give it as '/dev/fd/N', and both can read it"

/* Its writer would meet us, and not QEMU. */
static void a_fifo_is_not_opened(void **state)
{
	int watch = inotify_init1(IN_CLOEXEC | IN_NONBLOCK);
	char event[sizeof(struct inotify_event) + NAME_MAX + 1];

	(void)state;
	assert_int_equal(mkfifo("fifo", 0644), 0);
	assert_int_equal(symlink("fifo", "link"), 0);
	assert_true(inotify_add_watch(watch, "fifo", IN_OPEN) >= 0);
	read_expect("fifo", COMMAND_LINE_NO_CONFIG, NO_FILE);
	read_expect("link", COMMAND_LINE_NO_CONFIG, NO_FILE);
	assert_int_equal(read(watch, event, sizeof(event)), -1);
	assert_int_equal(errno, EAGAIN);
	close(open("fifo", O_RDONLY | O_NONBLOCK | O_CLOEXEC));
	assert_true(read(watch, event, sizeof(event)) > 0);
	close(watch);
}

static void files_are_read_and_nothing_that_blocks(void **state)
{
	(void)state;
	put_text("config", "[a]\n");
	put_text("empty", "");
	assert_int_equal(mkfifo("fifo", 0644), 0);
	read_expect("config", 0, "[a]\n");
	read_expect("empty", 0, "");
	read_expect("/dev/null", 0, "");
	read_expect("nowhere", COMMAND_LINE_NO_CONFIG, "No such file or directory");
	read_expect("fifo", COMMAND_LINE_NO_CONFIG, NO_FILE);
	read_expect("/dev/zero", COMMAND_LINE_NO_CONFIG, NO_FILE);
	read_expect(".", COMMAND_LINE_NO_CONFIG, "Is a directory");
	/* one of ours is not what the caller meant */
	read_expect("/dev/fd/1000000", COMMAND_LINE_NO_CONFIG, "No such file or directory");
}

/* By any of its names, as often as anybody likes; and the number stays. */
static void a_pipe_can_be_read_again_after_us(void **state)
{
	static const char text[] = "[drive \"d\"]\nfile = \"a\"\n";
	char name[64];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(write(ends[1], text, strlen(text)), strlen(text));
	assert_int_equal(fcntl(ends[0], F_SETFL, O_NONBLOCK), 0);
	close(ends[1]);
	snprintf(name, sizeof(name), "/dev/fd/%d", ends[0]);
	read_expect(name, 0, text);
	assert_int_equal(fcntl(ends[0], F_GETFD), 0); /* QEMU will inherit it */
	read_expect(name, 0, text);
	snprintf(name, sizeof(name), "/proc/self/fd/%d", ends[0]);
	read_expect(name, 0, text);
	close(ends[0]);
}

static void a_pipe_that_says_nothing_is_an_empty_config(void **state)
{
	char name[64];
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	close(ends[1]);
	snprintf(name, sizeof(name), "/dev/fd/%d", ends[0]);
	read_expect(name, 0, "");
	close(ends[0]);
}

static void a_pipe_that_says_too_much_is_an_error(void **state)
{
	static char much[2 << 20];
	char name[64];
	int ends[2], status;
	pid_t pid;

	(void)state;
	assert_int_equal(pipe(ends), 0);
	pid = fork();
	if (pid == 0) {
		close(ends[0]);
		signal(SIGPIPE, SIG_IGN);
		memset(much, '#', sizeof(much));
		_exit(write(ends[1], much, sizeof(much)) == sizeof(much));
	}
	close(ends[1]);
	snprintf(name, sizeof(name), "/dev/fd/%d", ends[0]);
	read_expect(name, -EFBIG, "longer than a config file can be");
	close(ends[0]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void drives_of_a_config_file_are_locked(void **state)
{
	(void)state;
	chain_put_raw("base");
	chain_put_qcow2("top", "base", "raw");
	put_text("config", "[drive \"d\"]\n  file = \"top\"\n  if = \"virtio\"\n");
	chain_expect("-readconfig config", "base reader, top exclusive");
	chain_expect("-readconfig config -snapshot", "base reader, top reader");
	chain_expect("-readconfig config -set drive.d.file=base", "base exclusive");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_config_file_is_read_as_qemu_reads_it),
		cmocka_unit_test(what_qemu_refuses_is_refused),
		cmocka_unit_test(lines_and_names_have_qemus_bounds),
		cmocka_unit_test(sections_are_as_the_options_of_their_names),
		cmocka_unit_test(facts_stand_in_config_files_too),
		cmocka_unit_test(the_default_config_comes_first_unless_it_is_forbidden),
		cmocka_unit_test(a_config_that_is_lost_ends_everything),
		cmocka_unit_test_setup_teardown(a_fifo_is_not_opened, chain_setup, chain_teardown),
		cmocka_unit_test_setup_teardown(
			files_are_read_and_nothing_that_blocks, chain_setup, chain_teardown),
		cmocka_unit_test(a_pipe_can_be_read_again_after_us),
		cmocka_unit_test(a_pipe_that_says_nothing_is_an_empty_config),
		cmocka_unit_test(a_pipe_that_says_too_much_is_an_error),
		cmocka_unit_test_setup_teardown(
			drives_of_a_config_file_are_locked, chain_setup, chain_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
