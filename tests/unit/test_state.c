/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "tests/unit/made_up_state.h"
#include "tests/unit/temporary.h"

static void assert_same(const struct vm_state *a, const struct vm_state *b)
{
	_cleanup_(freep) char *text_a = vm_state_to_text(a);
	_cleanup_(freep) char *text_b = vm_state_to_text(b);

	assert_non_null(text_a);
	assert_string_equal(text_a, text_b);
}

static void a_state_survives_being_written_and_read(void **state)
{
	_cleanup_(vm_state_finish) struct vm_state before = { 0 }, after = { 0 };
	_cleanup_(freep) char *text = NULL;
	struct error err = { 0 };

	(void)state;
	made_up_state("web1", &before);
	text = vm_state_to_text(&before);
	assert_non_null(text);
	assert_null(strchr(text, '\n'));
	assert_int_equal(vm_state_from_text(text, strlen(text), &after, &err), 0);
	assert_same(&before, &after);
	assert_string_equal(after.name, "web1");
	assert_int_equal(after.qemu.pid, 12);
	assert_int_equal(after.qemu.start_time, 112);
	assert_int_equal(after.lock_state, VM_LOCK_HELD);
	assert_int_equal(after.cause, CAUSE_IO_ERROR);
	assert_string_equal(after.lock_text, "file 1\nline \"two\"\n");
	assert_true(after.deactivating && after.deactivated && after.frozen && after.ended);
	assert_int_equal(after.end_status, -9);
	assert_int_equal(after.pinned.n, 2);
	assert_string_equal(after.pinned.items[1], "gdb");
	assert_int_equal(after.resources.n, 2);
	assert_true(after.resources.items[0].id.dev == UINT64_MAX);
}

static void a_name_that_is_no_utf8_survives_to_the_byte(void **state)
{
	_cleanup_(vm_state_finish) struct vm_state before = { 0 }, after = { 0 };
	_cleanup_(freep) char *text = NULL;
	struct error err = { 0 };

	(void)state;
	made_up_state("web1", &before);
	text = vm_state_to_text(&before);
	assert_int_equal(vm_state_from_text(text, strlen(text), &after, &err), 0);
	assert_string_equal(after.resources.items[1].path, "/srv/\xff\xfe odd \xc3\xbc\n.img");
	assert_non_null(strstr(text, "\\\\xff\\\\xfe odd \xc3\xbc\\\\x0a.img")); /* for people */
}

static void what_is_not_known_is_left_out(void **state)
{
	_cleanup_(vm_state_finish) struct vm_state before = { 0 }, after = { 0 };
	_cleanup_(freep) char *text = NULL;
	struct error err = { 0 };

	(void)state;
	made_up_state("web1", &before);
	free(take_ptr(before.remedy));
	free(take_ptr(before.lock_text));
	free(take_ptr(before.driver));
	text = vm_state_to_text(&before);
	assert_null(strstr(text, "remedy"));
	assert_int_equal(vm_state_from_text(text, strlen(text), &after, &err), 0);
	assert_null(after.remedy);
	assert_null(after.lock_text);
	assert_string_equal(after.driver, ""); /* a required one is never NULL */
}

#define IDS                                                                     \
	"\"instance\":\"" MADE_UP_INSTANCE "\",\"boot-id\":\"" MADE_UP_INSTANCE \
	"\",\"supervisor\":{\"pid\":1,\"start-time\":1},"
#define QEMU "\"qemu\":{\"pid\":2,\"start-time\":2},"
#define WORDS                                                                              \
	"\"driver\":\"file\",\"run-state\":\"running\",\"lock-state\":\"held\",\"cause\":" \
	"\"none\""
#define FINE "{\"version\":1,\"name\":\"a\"," IDS QEMU WORDS

static void the_smallest_state_is_taken_and_unknown_members_are_passed_over(void **state)
{
	static const char text[] = FINE ",\"from-the-future\":[{}]}";
	_cleanup_(vm_state_finish) struct vm_state vm = { 0 };
	struct error err = { 0 };

	(void)state;
	assert_int_equal(vm_state_from_text(text, strlen(text), &vm, &err), 0);
	assert_int_equal(vm.resources.n, 0);
}

static void hostile_text_is_refused_with_the_member_s_name(void **state)
{
	static const char *const rows[][2] = {
		{ "", "line 1" },
		{ "{", "line 1" },
		{ "[]", "no version" },
		{ "null", "line 1" },
		{ "{}", "no version" },
		{ "{\"version\":\"1\"}", "no version" },
		{ "{\"version\":2}", "it has version 2, and this vmlatch knows version 1" },
		{ "{\"version\":1}", "'name' is missing" },
		{ FINE ",\"name\":\"b\"}", "duplicate object key" },
		{ FINE "} x", "line 1" },
		{ "{\"version\":1,\"name\":\"../a\"}", "'name'" },
		{ "{\"version\":1,\"name\":7}", "'name'" },
		{ "{\"version\":1,\"name\":\"a\",\"instance\":\"short\"}", "'instance'" },
		{ "{\"version\":1,\"name\":\"a\"," IDS "\"qemu\":{\"pid\":-1,\"start-time\":1}}",
			"'qemu'" },
		{ "{\"version\":1,\"name\":\"a\"," IDS
		  "\"qemu\":{\"pid\":4194305,\"start-time\":1}}",
			"'qemu'" },
		{ "{\"version\":1,\"name\":\"a\"," IDS "\"qemu\":{\"pid\":1.5,\"start-time\":1}}",
			"'qemu'" },
		{ "{\"version\":1,\"name\":\"a\"," IDS "\"qemu\":12}", "'qemu'" },
		{ FINE ",\"cause-since\":-1}", "'cause-since'" },
		{ FINE ",\"cause-since\":9223372036854775808}", "line 1" },
		{ FINE ",\"frozen\":1}", "'frozen'" },
		{ FINE ",\"end-status\":256}", "'end-status'" },
		{ FINE ",\"end-status\":-65}", "'end-status'" },
		{ FINE ",\"remedy\":[]}", "'remedy'" },
		{ FINE ",\"remedy\":\"a\\u0000b\"}", "line 1" },
		{ FINE ",\"remedy-hex\":\"4\"}", "'remedy'" },
		{ FINE ",\"remedy-hex\":\"00\"}", "'remedy'" },
		{ FINE ",\"remedy-hex\":\"zz\"}", "'remedy'" },
		{ FINE ",\"remedy-hex\":7}", "'remedy'" },
		{ FINE ",\"pinned\":{}}", "'pinned'" },
		{ FINE ",\"pinned\":[1]}", "'pinned'" },
		{ FINE ",\"resources\":{}}", "'resources'" },
		{ FINE ",\"resources\":[1]}", "'resources'" },
		{ FINE ",\"resources\":[{\"kind\":\"disk\",\"mode\":\"exclusive\",\"id\":\"1:1\"}]"
		       "}",
			"'resources'" },
		{ FINE ",\"resources\":[{\"kind\":\"tape\",\"mode\":\"exclusive\",\"id\":\"1:1\","
		       "\"path\":\"/a\"}]}",
			"'resources'" },
		{ FINE ",\"resources\":[{\"kind\":\"disk\",\"mode\":\"rw\",\"id\":\"1:1\","
		       "\"path\":\"/a\"}]}",
			"'resources'" },
		{ FINE ",\"resources\":[{\"kind\":\"disk\",\"mode\":\"reader\",\"id\":\"1\","
		       "\"path\":\"/a\"}]}",
			"'resources'" },
		{ FINE ",\"resources\":[{\"kind\":\"disk\",\"mode\":\"reader\","
		       "\"id\":\"18446744073709551616:1\",\"path\":\"/a\"}]}",
			"'resources'" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct vm_state vm = { 0 };
		struct error err = { 0 };

		if (vm_state_from_text(rows[i][0], strlen(rows[i][0]), &vm, &err) != -EINVAL)
			fail_msg("taken: %s", rows[i][0]);
		if (!strstr(err.text, rows[i][1]))
			fail_msg("'%s' does not say \"%s\"", err.text, rows[i][1]);
		assert_null(vm.driver); /* untouched */
	}
}

static void unknown_words_for_states_are_refused(void **state)
{
	static const char held[] = "\"held\"";
	char text[] = FINE "}", *at = strstr(text, held);
	struct vm_state vm = { 0 };
	struct error err = { 0 };

	(void)state;
	memcpy(at, "\"hell\"", strlen(held));
	assert_int_equal(vm_state_from_text(text, strlen(text), &vm, &err), -EINVAL);
	assert_string_equal(err.text, "'lock-state' is not what it should be");
}

static void depth_is_bounded(void **state)
{
	_cleanup_(freep) char *text = malloc(1000000);
	struct vm_state vm = { 0 };
	struct error err = { 0 };

	(void)state;
	memset(text, '[', 1000000);
	assert_int_equal(vm_state_from_text(text, 1000000, &vm, &err), -EINVAL);
}

static void every_state_and_cause_has_a_name_of_its_own(void **state)
{
	int i;

	(void)state;
	for (i = 0; i <= VM_LOCK_NONE; i++)
		assert_int_equal(vm_lock_state_from_name(vm_lock_state_name(i)), i);
	for (i = 0; i <= CAUSE_UNKNOWN; i++)
		assert_int_equal(vm_cause_from_name(vm_cause_name(i)), i);
	assert_int_equal(vm_lock_state_from_name("Held"), -1);
	assert_int_equal(vm_cause_from_name(""), -1);
}

static void a_saved_state_is_loaded_and_links_are_not_followed(void **state)
{
	_cleanup_(vm_state_finish) struct vm_state before = { 0 }, after = { 0 };
	_cleanup_(closep) int dir = -1;
	struct temporary place;
	struct error err = { 0 };
	struct stat info;

	(void)state;
	assert_int_equal(temporary_make(&place), 0);
	dir = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	made_up_state("web1", &before);
	assert_int_equal(vm_state_save(dir, STATE_FILE, &before, &err), 0);
	assert_int_equal(fstatat(dir, STATE_FILE, &info, 0), 0);
	assert_int_equal(info.st_mode & 07777, 0600);
	assert_int_equal(vm_state_load(dir, STATE_FILE, &after, &err), 0);
	assert_same(&before, &after);
	assert_int_equal(vm_state_load(dir, "missing", &after, &err), -ENOENT);
	assert_int_equal(symlinkat(STATE_FILE, dir, "link"), 0);
	assert_int_equal(vm_state_load(dir, "link", &after, &err), -ELOOP);
	assert_int_equal(mkfifoat(dir, "fifo", 0600), 0);
	assert_int_equal(vm_state_load(dir, "fifo", &after, &err), -EINVAL);
	temporary_remove(&place);
}

/* A state whose QEMU is this process, but for the start time. */
static void state_of_ourselves(struct vm_state *vm)
{
	made_up_state("web1", vm);
	vm->qemu.pid = getpid();
}

static void a_process_is_known_by_pid_start_time_and_boot(void **state)
{
	_cleanup_(vm_state_finish) struct vm_state vm = { 0 };

	(void)state;
	state_of_ourselves(&vm);
	assert_false(vm_state_is_alive(&vm)); /* the pid was used again */
	assert_int_equal(process_start_time(getpid(), &vm.qemu.start_time), 0);
	assert_true(vm_state_is_alive(&vm));
	snprintf(vm.boot_id, sizeof(vm.boot_id), "%s", MADE_UP_INSTANCE);
	assert_false(vm_state_is_alive(&vm));
}

static void a_descriptor_is_had_of_that_very_process_only(void **state)
{
	_cleanup_(vm_state_finish) struct vm_state vm = { 0 };
	_cleanup_(closep) int fd = pidfd_open_cloexec(getpid());

	(void)state;
	if (fd == -ENOSYS)
		skip(); /* valgrind 3.19 */
	closep(&fd);
	state_of_ourselves(&vm);
	assert_int_equal(vm_state_open_process(&vm, &vm.qemu), -ESRCH);
	assert_int_equal(process_start_time(getpid(), &vm.qemu.start_time), 0);
	fd = vm_state_open_process(&vm, &vm.qemu);
	assert_true(fd >= 0);
	snprintf(vm.boot_id, sizeof(vm.boot_id), "%s", MADE_UP_INSTANCE);
	assert_int_equal(vm_state_open_process(&vm, &vm.qemu), -ESRCH);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_survives_being_written_and_read),
		cmocka_unit_test(a_name_that_is_no_utf8_survives_to_the_byte),
		cmocka_unit_test(what_is_not_known_is_left_out),
		cmocka_unit_test(the_smallest_state_is_taken_and_unknown_members_are_passed_over),
		cmocka_unit_test(hostile_text_is_refused_with_the_member_s_name),
		cmocka_unit_test(unknown_words_for_states_are_refused),
		cmocka_unit_test(depth_is_bounded),
		cmocka_unit_test(every_state_and_cause_has_a_name_of_its_own),
		cmocka_unit_test(a_saved_state_is_loaded_and_links_are_not_followed),
		cmocka_unit_test(a_process_is_known_by_pid_start_time_and_boot),
		cmocka_unit_test(a_descriptor_is_had_of_that_very_process_only),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
