/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "launcher/args_file.h"
#include "launcher/options.h"
#include "tests/unit/temporary.h"

#define ARGV(...) ((char *[]){ __VA_ARGS__, NULL })

/* The config directory of a test. */
static struct temporary config;

static int set_up(void **state)
{
	(void)state;
	if (temporary_make(&config) < 0)
		return -1;
	return setenv("VMLATCH_CONFIG_DIR", config.path, 1);
}

static int tear_down(void **state)
{
	(void)state;
	temporary_remove(&config);
	return 0;
}

static int parse(const char *text, size_t len, struct strv *args, struct error *err)
{
	return args_file_parse(
		&(struct config_text){ .name = "a.args", .text = text, .len = len }, args, err);
}

static void each_line_is_an_argument(void **state)
{
	static const struct {
		const char *text;
		const char *seen; /* each argument with a | behind it */
	} rows[] = {
		{ "q", "q|" },
		{ "q\n", "q|" },
		{ "q\n-m\n256\n", "q|-m|256|" },
		{ "# a VM\n\nq\n   # of mine\n\t\n-S\n", "q|-S|" },
		{ "q\r\n-name\r\n\tmy guest \n", "q|-name|my guest|" },
		{ "q\n-append\n\"a\" 'b' \\c $d #e ;f\n", "q|-append|\"a\" 'b' \\c $d #e ;f|" },
		{ "q\nfile=a,,b=c\n\xff\xfe", "q|file=a,,b=c|\xff\xfe|" },
	};
	size_t i, j;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		_cleanup_(strv_finish) struct strv args = { 0 };
		_cleanup_(str_finish) struct str seen = { 0 };
		struct error err = { 0 };

		assert_int_equal(parse(rows[i].text, strlen(rows[i].text), &args, &err), 0);
		for (j = 0; j < args.n; j++)
			str_printf(&seen, "%s|", args.items[j]);
		assert_string_equal(seen.text, rows[i].seen);
		assert_null(args.items[args.n]);
	}
}

static void what_is_none_is_78_with_file_and_line(void **state)
{
	static const struct {
		const char *text;
		size_t len;
		const char *words;
	} rows[] = {
		{ "", 0, "a.args:0: no QEMU is named" },
		{ "\n# nothing\n", 11, "a.args:2: no QEMU is named" },
		{ "q\n-m\na\0b\n", 9, "a.args:3: a NUL byte" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct strv args = { 0 };
		struct error err = { 0 };

		assert_true(parse(rows[i].text, rows[i].len, &args, &err) < 0);
		assert_int_equal(err.status, EX_CONFIG);
		assert_non_null(strstr(err.text, rows[i].words));
		assert_null(args.items);
	}
}

static void a_name_alone_is_what_its_file_says(void **state)
{
	_cleanup_(options_finish) struct options options = { 0 };
	_cleanup_(options_finish) struct options others = { 0 };
	struct error err = { 0 };

	(void)state;
	temporary_write(&config, "vm/web1.args", "qemu\n-m\n256\n");
	assert_int_equal(options_parse(ARGV("run", "--name", "web1"), &options, &err), 0);
	assert_string_equal(options.name, "web1");
	assert_string_equal(options.qemu_argv[0], "qemu");
	assert_string_equal(options.qemu_argv[2], "256");
	assert_null(options.qemu_argv[3]);
	assert_int_equal(
		options_parse(ARGV("check", "--json", "--name=web1", "--"), &others, &err), 0);
	assert_string_equal(others.qemu_argv[2], "256");
}

static void what_stands_on_the_command_line_goes_before(void **state)
{
	_cleanup_(options_finish) struct options options = { 0 };
	struct error err = { 0 };

	(void)state;
	temporary_write(&config, "vm/web1.args", "qemu\n-m\n256\n");
	assert_int_equal(options_parse(ARGV("run", "--name", "web1", "other"), &options, &err), 0);
	assert_string_equal(options.qemu_argv[0], "other");
	assert_null(options.qemu_argv[1]);
}

static void a_file_that_is_needed_and_not_there_is_66(void **state)
{
	struct options options = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_true(options_parse(ARGV("run", "--name", "web1"), &options, &err) < 0);
	assert_int_equal(err.status, EX_NOINPUT);
	assert_non_null(strstr(err.text, "no QEMU was given, and there is no "));
	assert_non_null(strstr(err.text, "/vm/web1.args"));
}

/* A name in the config file is every VM's, so that it means no file. */
static void a_name_in_the_config_file_is_not_enough(void **state)
{
	struct options options = { 0 };
	struct error err = { 0 };

	(void)state;
	temporary_write(&config, "vmlatch.conf", "name = web1\n");
	temporary_write(&config, "vm/web1.args", "qemu\n");
	assert_true(options_parse(ARGV("run"), &options, &err) < 0);
	assert_int_equal(err.status, EX_USAGE);
	assert_non_null(strstr(err.text, "no QEMU was given"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(each_line_is_an_argument),
		TEST(what_is_none_is_78_with_file_and_line),
		TEST(a_name_alone_is_what_its_file_says),
		TEST(what_stands_on_the_command_line_goes_before),
		TEST(a_file_that_is_needed_and_not_there_is_66),
		TEST(a_name_in_the_config_file_is_not_enough),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
