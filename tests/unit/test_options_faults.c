/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "fault_each.h"
#include "launcher/options.h"
#include "tests/unit/temporary.h"

/* With each call failing once: an error, or all that was asked for. */
static struct temporary config;

static int set_up(void **state)
{
	(void)state;
	if (temporary_make(&config) < 0)
		return -1;
	temporary_write(&config, "vmlatch.conf", "# ours\nhost-name = kvm3\nwait = 5\n");
	temporary_write(&config, "vmlatch.conf.d/10-qmp.conf", "[vmlatch]\nqmp = /run/q.sock\n");
	temporary_write(&config, "vmlatch.conf.d/20-wait.conf", "wait = 7\n");
	temporary_write(&config, "vm/web1.conf", "on-lock-failure = poweroff\nuser = qemu\n");
	return setenv("VMLATCH_CONFIG_DIR", config.path, 1);
}

static int tear_down(void **state)
{
	(void)state;
	temporary_remove(&config);
	return 0;
}

static int parse(struct error *err)
{
	static char *argv[] = { "run", "--name", "web1", "--group=kvm", "--", "qemu", "-S", NULL };
	_cleanup_(options_finish) struct options options = { 0 };
	int ret = options_parse(argv, &options, err);

	if (ret == 0)
		ret = options_apply_vm_config(&options, options.name, err);
	if (ret != 0)
		return ret;
	assert_string_equal(options.name, "web1");
	assert_string_equal(options.lock, "file");
	assert_string_equal(options.host_name, "kvm3");
	assert_string_equal(options.qmp, "/run/q.sock");
	assert_int_equal(options.wait_ms, 7000);
	assert_int_equal(options.on_lock_failure, ON_LOCK_FAILURE_POWEROFF);
	assert_string_equal(options.user, "qemu");
	assert_string_equal(options.group, "kvm");
	assert_string_equal(options.qemu_argv[0], "qemu");
	return 0;
}

static void options_and_config_files_count_all_or_the_start_is_refused(void **state)
{
	(void)state;
	assert_true(fault_each(parse) > 30);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(options_and_config_files_count_all_or_the_start_is_refused),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
