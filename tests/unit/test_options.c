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
#include <sys/stat.h>
#include <sysexits.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "launcher/option_value.h"
#include "launcher/options.h"
#include "tests/unit/temporary.h"

#define ARGV(...) ((char *[]){ __VA_ARGS__, NULL })

/* The config directory of a test: files appear below it by write_config(). */
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

static void expect_parsed(char **argv, struct options *options)
{
	struct error err = { 0 };
	int ret = options_parse(argv, options, &err);

	if (ret < 0)
		fail_msg("%s", err.text);
}

/* It must be refused with this status and a sentence that has these words. */
static void expect_refused(char **argv, int status, const char *words)
{
	struct options options = { 0 };
	struct error err = { 0 };

	if (options_parse(argv, &options, &err) >= 0)
		fail_msg("taken, although it should say '%s'", words);
	if (!strstr(err.text, words))
		fail_msg("'%s' does not say '%s'", err.text, words);
	assert_int_equal(err.status, status);
	assert_null(options.lock); /* untouched */
}

static void without_options_the_defaults_hold(void **state)
{
	_cleanup_(options_finish) struct options options = { 0 };
	char host[256] = "";

	(void)state;
	gethostname(host, sizeof(host) - 1);
	expect_parsed(ARGV("run", "qemu", "-m", "1"), &options);
	assert_null(options.name);
	assert_string_equal(options.lock, "file");
	assert_string_equal(options.host_name, host);
	assert_int_equal(options.acquire, ACQUIRE_DEFAULT);
	assert_int_equal(options.start, START_DEFAULT);
	assert_int_equal(options.wait_ms, 0);
	assert_int_equal(options.release_on, RELEASE_ON_ALL);
	assert_false(options.release_on_given);
	assert_true(options.deactivate);
	assert_true(options.readonly_locks);
	assert_false(options.require_locks);
	assert_int_equal(options.log_level, LOG_LEVEL_NOTICE);
	assert_string_equal(options.qemu_argv[0], "qemu");
}

static void every_option_arrives_where_it_belongs(void **state)
{
	_cleanup_(options_finish) struct options o = { 0 };

	(void)state;
	expect_parsed(ARGV("run", "--name", "web1", "--lock=nop", "--acquire", "resume", "--wait",
			      "0.5", "--on-lock-failure=poweroff", "--release-on", "stop,io-error",
			      "--release-after=2", "--deactivate", "no", "--readonly-locks=no",
			      "--start=direct", "--user", "qemu", "--group", "kvm",
			      "--on-supervisor-death=kill", "--qmp", "/run/q.sock",
			      "--require-locks", "--host-name", "kvm3", "--log-level=debug",
			      "--log-format", "json", "--", "qemu"),
		&o);
	assert_string_equal(o.name, "web1");
	assert_string_equal(o.lock, "nop");
	assert_int_equal(o.acquire, ACQUIRE_RESUME);
	assert_int_equal(o.wait_ms, 500);
	assert_int_equal(o.on_lock_failure, ON_LOCK_FAILURE_POWEROFF);
	assert_int_equal(o.release_on, RELEASE_ON_STOP | RELEASE_ON_IO_ERROR);
	assert_true(o.release_on_given);
	assert_int_equal(o.release_after_ms, 2000);
	assert_false(o.deactivate);
	assert_false(o.readonly_locks);
	assert_int_equal(o.start, START_DIRECT);
	assert_string_equal(o.user, "qemu");
	assert_string_equal(o.group, "kvm");
	assert_int_equal(o.on_supervisor_death, ON_SUPERVISOR_DEATH_KILL);
	assert_string_equal(o.qmp, "/run/q.sock");
	assert_true(o.require_locks);
	assert_string_equal(o.host_name, "kvm3");
	assert_int_equal(o.log_level, LOG_LEVEL_DEBUG);
	assert_int_equal(o.log_format, LOG_FORMAT_JSON);
}

static void options_end_at_qemu_and_its_arguments_stay_untouched(void **state)
{
	char *argv[] = { "run", "--wait", "1", "qemu", "--wait", "2", "--", "--name", NULL };
	_cleanup_(options_finish) struct options options = { 0 };

	(void)state;
	expect_parsed(argv, &options);
	assert_ptr_equal(options.qemu_argv, argv + 3);
	assert_int_equal(options.wait_ms, 1000);
	assert_null(options.name);
}

static void what_stands_behind_two_dashes_is_qemu(void **state)
{
	_cleanup_(options_finish) struct options options = { 0 };

	(void)state;
	expect_parsed(ARGV("run", "--", "--odd-binary", "-m"), &options);
	assert_string_equal(options.qemu_argv[0], "--odd-binary");
}

static void a_wrong_command_line_is_64_with_a_sentence(void **state)
{
	(void)state;
	expect_refused(ARGV("run"), EX_USAGE, "no QEMU was given");
	expect_refused(ARGV("run", "--"), EX_USAGE, "no QEMU was given");
	expect_refused(ARGV("check", "--wait", "1"), EX_USAGE, "vmlatch check [OPTIONS] qemu");
	expect_refused(ARGV("run", "--lok", "file", "q"), EX_USAGE, "did you mean --lock?");
	expect_refused(ARGV("run", "--lockspace-name", "inode", "q"), EX_USAGE, "path|identity");
	expect_refused(ARGV("run", "--lease", "a", "q"), EX_USAGE, "needs SPACE:KEY");
	expect_refused(ARGV("run", "--lease", "a/b:c", "q"), EX_USAGE, "without '/'");
	expect_refused(ARGV("run", "--lease", "a:..", "q"), EX_USAGE, "no '.' in front");
	expect_refused(ARGV("run", "--lease", "a:b:c", "q"), EX_USAGE, "begin with '/'");
	expect_refused(ARGV("run", "--qemu", "q"), EX_USAGE, "no option --qemu");
	expect_refused(ARGV("run", "--json", "q"), EX_USAGE, "no option --json");
	expect_refused(ARGV("run", "-m", "1", "q"), EX_USAGE, "vmlatch run qemu-system-x86_64 -m");
	expect_refused(ARGV("run", "--wait"), EX_USAGE, "--wait needs a value: --wait SECONDS");
	expect_refused(ARGV("run", "--name", "--", "q"), EX_USAGE, "--name needs a value");
	expect_refused(ARGV("run", "--wait", "x", "q"), EX_USAGE, "needs seconds");
	expect_refused(ARGV("run", "--wait=-1", "q"), EX_USAGE, "not '-1'");
	expect_refused(ARGV("run", "--wait=1.x", "q"), EX_USAGE, "needs seconds");
	expect_refused(ARGV("run", "--wait=1.", "q"), EX_USAGE, "needs seconds");
	expect_refused(ARGV("run", "--wait=99999999999999999999", "q"), EX_USAGE, "needs seconds");
	expect_refused(ARGV("run", "--name", "a/b", "q"), EX_USAGE, "letters, digits");
	expect_refused(ARGV("run", "--name=", "q"), EX_USAGE, "letters, digits");
	expect_refused(ARGV("run", "--name=a.last.json", "q"), EX_USAGE, "'.last.json'");
	expect_refused(ARGV("run", "--lock", "../x", "q"), EX_USAGE, "a driver's name");
	expect_refused(ARGV("run", "--acquire=", "q"), EX_USAGE, "needs start|resume");
	expect_refused(ARGV("run", "--release-on=stop,,", "q"), EX_USAGE, "needs 'none'");
	expect_refused(ARGV("run", "--release-on=none,stop", "q"), EX_USAGE, "needs 'none'");
	expect_refused(ARGV("run", "--readonly-locks=1", "q"), EX_USAGE, "needs yes|no");
	expect_refused(ARGV("run", "--require-locks=1", "q"), EX_USAGE, "needs yes or no");
	expect_refused(ARGV("run", "--host-name", "a\nb", "q"), EX_USAGE, "printable");
	expect_refused(ARGV("run", "--user", "", "q"), EX_USAGE, "1 to 255");
	expect_refused(ARGV("run", "--keep-capability", "kill,no", "q"), EX_USAGE, "not 'no'");
	expect_refused(ARGV("run", "--keep-capability=", "q"), EX_USAGE, "not ''");
	expect_refused(ARGV("run", "--keep-capability=kill,", "q"), EX_USAGE, "not ''");
	expect_refused(ARGV("run", "--limit-core=1X", "q"), EX_USAGE, "SOFT[:HARD]");
	expect_refused(ARGV("run", "--limit-core=2:1", "q"), EX_USAGE, "SOFT[:HARD]");
	expect_refused(ARGV("run", "--limit-memlock=:1", "q"), EX_USAGE, "SOFT[:HARD]");
	expect_refused(ARGV("run", "--limit-nofile=9999999999T", "q"), EX_USAGE, "SOFT[:HARD]");
	expect_refused(ARGV("run", "--umask=8", "q"), EX_USAGE, "octal");
	expect_refused(ARGV("run", "--umask=1000", "q"), EX_USAGE, "octal");
	expect_refused(
		ARGV("run", "--log-level=all", "q"), EX_USAGE, "notice|info|debug, not 'all'");
}

static void privileges_are_understood(void **state)
{
	_cleanup_(options_finish) struct options options = { 0 };
	const struct rlimit *limit = &options.limits[PRIVILEGES_MEMLOCK].values;

	(void)state;
	expect_parsed(ARGV("run", "q"), &options);
	assert_false(options.keep_given || options.helpers_given || options.limits[0].given);
	assert_int_equal(options.umask, -1);
	options_finish(&options);
	expect_parsed(ARGV("run", "--keep-capability", "CAP_KILL,net_admin", "--umask", "027",
			      "--allow-setuid-helpers", "--limit-memlock", "1M:infinity", "q"),
		&options);
	assert_true(options.keep_given && options.keep_capabilities == (1 << 5 | 1 << 12));
	assert_true(options.helpers_given && options.allow_setuid_helpers);
	assert_int_equal(options.umask, 027);
	assert_true(limit->rlim_cur == 1 << 20 && limit->rlim_max == RLIM_INFINITY);
	assert_false(options.limits[PRIVILEGES_CORE].given);
	options_finish(&options);
	expect_parsed(ARGV("run", "--keep-capability=all", "--limit-memlock=7", "q"), &options);
	assert_true(options.keep_capabilities == CAPABILITY_ALL);
	assert_true(limit->rlim_cur == 7 && limit->rlim_max == 7);
}

static void seconds_may_have_decimals(void **state)
{
	static const struct {
		const char *text;
		int64_t ms;
	} rows[] = {
		{ "0", 0 },
		{ "10", 10000 },
		{ "0.5", 500 },
		{ "1.25", 1250 },
		{ "0.001", 1 },
		{ "0.0001", 1 }, /* a little is not nothing */
		{ "3.000000", 3000 },
	};
	const struct option_spec spec = { "wait", "SECONDS" };
	struct error err = { 0 };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		int64_t ms = -1;

		assert_int_equal(option_set_seconds(&spec, &ms, rows[i].text, &err), 0);
		assert_int_equal(ms, rows[i].ms);
	}
}

static void a_relative_path_becomes_absolute(void **state)
{
	_cleanup_(options_finish) struct options options = { 0 };
	_cleanup_(freep) char *here = getcwd(NULL, 0);

	(void)state;
	expect_parsed(ARGV("run", "--qmp", "q.sock", "qemu"), &options);
	assert_int_equal(strncmp(options.qmp, here, strlen(here)), 0);
	assert_string_equal(options.qmp + strlen(here), "/q.sock");
}

static void the_last_of_repeated_options_counts(void **state)
{
	_cleanup_(options_finish) struct options options = { 0 };

	(void)state;
	expect_parsed(ARGV("check", "--lock=nop", "--lock", "file", "--require-locks",
			      "--require-locks=no", "--json", "qemu"),
		&options);
	assert_string_equal(options.lock, "file");
	assert_false(options.require_locks);
	assert_true(options.json);
}

static void the_stronger_source_wins(void **state)
{
	_cleanup_(options_finish) struct options options = { 0 };
	struct error err = { 0 };

	(void)state;
	temporary_write(&config, "vmlatch.conf", "wait = 1\nuser = a\nlock = nop\nhost-name = h\n");
	temporary_write(&config, "vmlatch.conf.d/20-b.conf", "user = c\n");
	temporary_write(&config, "vmlatch.conf.d/10-a.conf", "user = b\nrelease-on = none\n");
	temporary_write(&config, "vmlatch.conf.d/30.off", "nonsense\n");
	temporary_write(&config, "vm/web1.conf", "[vmlatch]\nwait = 3\nlock = file\n");
	expect_parsed(ARGV("run", "--wait", "9", "qemu"), &options);
	assert_int_equal(options.wait_ms, 9000);
	assert_string_equal(options.user, "c");
	assert_string_equal(options.lock, "nop");
	assert_string_equal(options.host_name, "h");
	assert_int_equal(options.release_on, 0);
	assert_true(options.release_on_given);
	assert_int_equal(options_apply_vm_config(&options, "web1", &err), 0);
	assert_int_equal(options.wait_ms, 9000);
	assert_string_equal(options.lock, "file");
	assert_int_equal(options_apply_vm_config(&options, "other", &err), 0);
}

static void an_explicit_config_replaces_the_global_ones(void **state)
{
	_cleanup_(options_finish) struct options options = { 0 };
	_cleanup_(freep) char *path = NULL;

	(void)state;
	temporary_write(&config, "vmlatch.conf", "user = a\n");
	temporary_write(&config, "my.conf", "group = g\n");
	path = temporary_path(&config, "my.conf");
	expect_parsed(ARGV("run", "--config", path, "qemu"), &options);
	assert_null(options.user);
	assert_string_equal(options.group, "g");
	temporary_unlink(&config, "my.conf");
	expect_refused(ARGV("run", "--config", path, "qemu"), EX_NOINPUT, path);
}

static void a_wrong_config_is_78_and_names_file_and_line(void **state)
{
	static const struct {
		const char *text;
		const char *words;
	} rows[] = {
		{ "# fine\n\nlok = file\n",
			"vmlatch.conf:3: unknown key 'lok': did you mean 'lock'?" },
		{ "xyzzy = 1\n", "vmlatch.conf:1: unknown key 'xyzzy'" },
		{ "wait = soon\n", "vmlatch.conf:1: --wait needs seconds" },
		{ "wait = 1\nwait = 2\n", "vmlatch.conf:2: 'wait' is set a second time" },
		{ "config = /x\n", "vmlatch.conf:1: 'config' cannot be set here" },
		{ "json = yes\n", "vmlatch.conf:1: 'json' cannot be set here" },
		{ "qmp = here\n", "vmlatch.conf:1: 'qmp' needs an absolute path here" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		temporary_write(&config, "vmlatch.conf", rows[i].text);
		expect_refused(ARGV("run", "qemu"), EX_CONFIG, rows[i].words);
	}
}

static void a_config_is_checked_even_where_the_command_line_wins(void **state)
{
	(void)state;
	temporary_write(&config, "vmlatch.conf", "wait = soon\n");
	expect_refused(ARGV("run", "--wait", "1", "qemu"), EX_CONFIG, "needs seconds");
}

static void a_vms_own_config_cannot_name_it(void **state)
{
	_cleanup_(options_finish) struct options options = { 0 };
	struct error err = { 0 };

	(void)state;
	temporary_write(&config, "vm/web1.conf", "name = web2\n");
	expect_parsed(ARGV("run", "qemu"), &options);
	assert_true(options_apply_vm_config(&options, "web1", &err) < 0);
	assert_int_equal(err.status, EX_CONFIG);
	assert_non_null(strstr(err.text, "vm/web1.conf:1: 'name' cannot be set here"));
}

static void a_config_that_is_no_file_is_refused(void **state)
{
	_cleanup_(freep) char *path = temporary_path(&config, "vmlatch.conf");

	(void)state;
	assert_int_equal(mkdir(path, 0700), 0);
	expect_refused(ARGV("run", "qemu"), EX_CONFIG, "it is a directory");
	assert_int_equal(rmdir(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0); /* and nobody waits for its writer */
	expect_refused(ARGV("run", "qemu"), EX_CONFIG, "it is no regular file");
}

static void names_of_vms_are_plain(void **state)
{
	static const char *const good[] = { "a", "web1", "A.b_c-9", "-x", "...", "a.last",
		"a.last.json5", "last.json", "a-last.log",
		"0123456789012345678901234567890123456789012345678901234567890123" };
	static const char *const bad[] = { "", ".", "..", "a b", "a/b", "\xc3\xbc", "a\n",
		"a.last.json", "a.last.log", ".last.json",
		"01234567890123456789012345678901234567890123456789012345678901234" };
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(good) / sizeof(good[0]); i++)
		assert_true(vm_name_is_valid(good[i]));
	for (i = 0; i < sizeof(bad) / sizeof(bad[0]); i++)
		assert_false(vm_name_is_valid(bad[i]));
}

static void any_text_can_be_made_a_name(void **state)
{
	static const char *const rows[][2] = {
		{ "web1", "web1" },
		{ "my vm", "my_20vm" },
		{ "", "_" },
		{ ".", "_2E" },
		{ "..", "_2E_2E" },
		{ "a/../b", "a_2F.._2Fb" },
		{ "\xc3\xbc", "_C3_BC" },
		{ "012345678901234567890123456789012345678901234567890123456789012345",
			"0123456789012345678901234567890123456789012345678901234567890123" },
		{ "a.last.json", "a_last.json" },
		{ "a.last.log", "a_last.log" },
		{ ".last.json", "_last.json" },
		{ "a.last.json.last.json", "a.last.json_last.json" },
		{ "012345678901234567890123456789012345678901234567890123.last.jsonx",
			"012345678901234567890123456789012345678901234567890123_last.json" },
		/* no escape is cut in two */
		{ "01234567890123456789012345678901234567890123456789012345678901 x",
			"01234567890123456789012345678901234567890123456789012345678901" },
	};
	char name[VM_NAME_SIZE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		vm_name_escape(rows[i][0], name);
		assert_string_equal(name, rows[i][1]);
		assert_true(vm_name_is_valid(name));
	}
}

static void help_shows_every_option_of_the_verb(void **state)
{
	_cleanup_(str_finish) struct str run = { 0 };
	_cleanup_(str_finish) struct str check = { 0 };
	char option[64];
	size_t i;

	(void)state;
	option_describe(&run_options, "run", &run);
	option_describe(&run_options, "check", &check);
	for (i = 0; i < run_options.n; i++) {
		if (run_options.specs[i].rules & OPTION_CONFIG_ONLY)
			continue;
		snprintf(option, sizeof(option), "  --%s", run_options.specs[i].name);
		assert_non_null(strstr(check.text, option));
		assert_true(run_options.specs[i].help[0]);
	}
	assert_null(strstr(run.text, "--json"));
	assert_null(strstr(run.text, "--qemu"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(without_options_the_defaults_hold),
		TEST(every_option_arrives_where_it_belongs),
		TEST(options_end_at_qemu_and_its_arguments_stay_untouched),
		TEST(what_stands_behind_two_dashes_is_qemu),
		TEST(a_wrong_command_line_is_64_with_a_sentence),
		TEST(privileges_are_understood),
		TEST(seconds_may_have_decimals),
		TEST(a_relative_path_becomes_absolute),
		TEST(the_last_of_repeated_options_counts),
		TEST(the_stronger_source_wins),
		TEST(an_explicit_config_replaces_the_global_ones),
		TEST(a_wrong_config_is_78_and_names_file_and_line),
		TEST(a_config_is_checked_even_where_the_command_line_wins),
		TEST(a_vms_own_config_cannot_name_it),
		TEST(a_config_that_is_no_file_is_refused),
		TEST(names_of_vms_are_plain),
		TEST(any_text_can_be_made_a_name),
		TEST(help_shows_every_option_of_the_verb),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
