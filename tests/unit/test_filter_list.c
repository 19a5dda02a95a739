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
#include <string.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "sandbox/filter_list.h"

static void each_part_of_a_line_is_read(void **state)
{
	struct filter_list list = { 0 };
	struct error err = { 0 };
	static const char text[] = "# a comment\n"
				   "\n"
				   "@default allow the rest\n"
				   "  mount\tkill a reason # and a remark\n"
				   "open_tree_attr/467 kill new\n"
				   "clone arg0&0x7e020000 eperm namespaces\n"
				   "socket arg0=1 allow unix\n"
				   "socket arg0=16 allow netlink\n"
				   "fork arg1!0x80 allow x\n"
				   "execve foreign-exec enosys nobody else's";

	(void)state;
	assert_int_equal(filter_list_parse(text, &list, &err), 0);
	assert_int_equal(list.n, 8);
	assert_string_equal(list.lines[0].name, "@default");
	assert_int_equal(list.lines[0].action, FILTER_ALLOW);
	assert_string_equal(list.lines[1].name, "mount");
	assert_int_equal(list.lines[1].action, FILTER_KILL);
	assert_int_equal(list.lines[1].number, -1);
	assert_int_equal(list.lines[2].number, 467);
	assert_int_equal(list.lines[3].condition, FILTER_ANY_BIT);
	assert_int_equal(list.lines[3].value, 0x7e020000);
	assert_int_equal(list.lines[3].action, FILTER_EPERM);
	assert_int_equal(list.lines[5].condition, FILTER_EQUALS);
	assert_int_equal(list.lines[5].value, 16);
	assert_int_equal(list.lines[6].condition, FILTER_NO_BIT);
	assert_int_equal(list.lines[6].argument, 1);
	assert_int_equal(list.lines[7].condition, FILTER_FOREIGN_EXEC);
	assert_int_equal(list.lines[7].action, FILTER_ENOSYS);
	assert_ptr_equal(filter_list_find(&list, "socket"), &list.lines[4]);
	assert_null(filter_list_find(&list, "fsopen"));
	filter_list_finish(&list);
}

static void a_line_that_is_none_is_refused_and_named(void **state)
{
	static const char *const lines[] = {
		"mount",
		"mount kill",     /* why? */
		"mount slay why", /* no action */
		"mount kill why\nmount allow why",
		"mount kill why\nmount kill why",
		"mount arg0=1 kill why\nmount eperm why",
		"mount arg0=1 kill why\nmount arg0=2 eperm why",
		"mount arg6=1 kill why",
		"mount arg0<1 kill why",
		"mount arg0=x kill why",
		"mount arg0=-1 kill why",
		"mount arg0=0x100000000 kill why", /* would be compared with 0 */
		"mount arg0&0 kill why",
		"mount arg0=1 why",
		"mount/x kill why",
		"mount/ kill why",
		"mount/4096 kill why",
		"mo-unt kill why",
		"@default arg0=1 kill why",
	};
	char text[256];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(*lines); i++) {
		struct filter_list list = { 0 };
		struct error err = { 0 };

		snprintf(text, sizeof(text), "# first\n%s\n", lines[i]);
		assert_int_equal(filter_list_parse(text, &list, &err), -EINVAL);
		assert_non_null(strstr(err.text, strchr(lines[i], '\n') ? "line 3" : "line 2"));
		filter_list_finish(&list);
	}
}

static struct filter_list read_lists(const char *first, const char *second)
{
	const char *const names[] = { first, second };
	struct filter_list list = { 0 };
	struct error err = { 0 };
	size_t i;

	for (i = 0; i < 2 && names[i]; i++) {
		_cleanup_(freep) char *text = NULL;
		char path[4096];

		snprintf(path, sizeof(path), "%s/%s", SANDBOX_DIR, names[i]);
		assert_int_equal(file_read_at(AT_FDCWD, path, 0, 65536, &text, NULL), 0);
		assert_int_equal(filter_list_parse(text, &list, &err), 0);
	}
	return list;
}

/* Is it so without a condition? */
static bool has_action(const struct filter_list *list, const char *name, enum filter_action action)
{
	const struct filter_line *line = filter_list_find(list, name);

	return line && line->condition == FILTER_ALWAYS && line->action == action;
}

static void what_kills_qemu_is_never_the_supervisors(void **state)
{
	static const char *const killers[] = { "execve", "execveat", "mount", "move_mount",
		"fsmount", "init_module", "finit_module", "kexec_load", "reboot", "bpf", "keyctl",
		"add_key", "unshare", "setns", "chroot", "pivot_root" };
	struct filter_list ours = read_lists("supervisor.list", NULL);
	struct filter_list qemus = read_lists("qemu-default.list", "qemu-strict.list");
	size_t i;

	(void)state;
	assert_true(has_action(&ours, "@default", FILTER_ENOSYS));
	assert_true(has_action(&ours, "@foreign", FILTER_KILL));
	for (i = 0; i < sizeof(killers) / sizeof(*killers); i++)
		assert_true(has_action(&ours, killers[i], FILTER_KILL));
	for (i = 0; i < qemus.n; i++) {
		if (qemus.lines[i].action == FILTER_KILL)
			assert_false(has_action(&ours, qemus.lines[i].name, FILTER_ALLOW));
	}
	filter_list_finish(&ours);
	filter_list_finish(&qemus);
}

/* A helper that cannot close them keeps the disk locked when the VM is gone. */
static void qemu_may_let_go_of_every_descriptor(void **state)
{
	static const char *const free[] = { "close", "close_range", "fcntl", "fcntl64", "dup",
		"dup2", "dup3" };
	struct filter_list qemus = read_lists("qemu-default.list", "qemu-strict.list");
	size_t i;

	(void)state;
	assert_true(has_action(&qemus, "@default", FILTER_ALLOW));
	for (i = 0; i < sizeof(free) / sizeof(*free); i++)
		assert_null(filter_list_find(&qemus, free[i]));
	filter_list_finish(&qemus);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_part_of_a_line_is_read),
		cmocka_unit_test(a_line_that_is_none_is_refused_and_named),
		cmocka_unit_test(what_kills_qemu_is_never_the_supervisors),
		cmocka_unit_test(qemu_may_let_go_of_every_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
