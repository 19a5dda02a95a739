/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/cleanup.h"
#include "fault.h"
#include "fault_each.h"
#include "launcher/vm/event_log.h"
#include "tests/unit/made_up_state.h"
#include "tests/unit/temporary.h"

static struct vm_state made_up;
static char *whole; /* made_up as text */

static int to_text(struct error *err)
{
	_cleanup_(freep) char *text = vm_state_to_text(&made_up), *again = NULL;
	_cleanup_(vm_state_finish) struct vm_state read = { 0 };

	fault_disarm();
	if (!text)
		return error_set(err, -ENOMEM, "out of memory");
	/* a text for which there was no memory may be there in hexadecimal */
	assert_int_equal(vm_state_from_text(text, strlen(text), &read, NULL), 0);
	again = vm_state_to_text(&read);
	assert_string_equal(again, whole);
	return 0;
}

static void a_state_becomes_its_whole_text_or_none(void **state)
{
	(void)state;
	assert_true(fault_each(to_text) > 100);
}

static int from_text(struct error *err)
{
	_cleanup_(vm_state_finish) struct vm_state read = { 0 };
	_cleanup_(freep) char *again = NULL;
	int ret = vm_state_from_text(whole, strlen(whole), &read, err);

	fault_disarm();
	if (ret != 0) {
		if (ret != -ENOMEM)
			fail_msg("%s: %s", fault_name(), err->text);
		return ret;
	}
	again = vm_state_to_text(&read);
	assert_string_equal(again, whole);
	return 0;
}

static void a_text_becomes_its_whole_state_or_none(void **state)
{
	(void)state;
	assert_true(fault_each(from_text) > 100);
}

static size_t count_files(int dir)
{
	DIR *listing = fdopendir(openat(dir, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
	size_t n = 0;

	while (readdir(listing))
		n++;
	closedir(listing);
	return n - 2;
}

static void a_state_file_is_replaced_or_left_as_it_was(void **state)
{
	struct temporary place;
	bool fired = true;
	unsigned n;
	int dir;

	(void)state;
	assert_int_equal(temporary_make(&place), 0);
	dir = open(place.path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(vm_state_save(dir, STATE_FILE, &made_up, NULL), 0);
	for (n = 1; fired; n++) {
		_cleanup_(vm_state_finish) struct vm_state read = { 0 };
		struct error err = { 0 };
		int ret;

		fault_arm(n);
		ret = vm_state_save(dir, STATE_FILE, &made_up, &err);
		fired = fault_disarm();
		assert_true(ret == 0 || err.text[0]);
		assert_int_equal(count_files(dir), 1);
		if (vm_state_load(dir, STATE_FILE, &read, &err) < 0)
			fail_msg("call %u, %s: %s", n, fault_name(), err.text);
	}
	assert_true(n > 100);
	close(dir);
	temporary_remove(&place);
}

static int log_events(struct error *err)
{
	static const char event[] = "{\"event\": \"STOP\"}\r\n";
	const char *added, *got;
	struct event_log log;
	size_t len, got_len;
	uint64_t seq;
	int i, ret = 0;

	event_log_init(&log);
	for (i = 0; i < 3; i++) {
		seq = log.next;
		added = event_log_add(&log, event, strlen(event), &len);
		if (!added) {
			ret = error_set(err, -ENOMEM, "out of memory");
			assert_int_equal(log.next, seq);
			continue;
		}
		got = event_log_get(&log, seq, &got_len);
		assert_ptr_equal(got, added);
		assert_int_equal(got_len, len);
	}
	event_log_finish(&log);
	return ret;
}

static void an_event_is_numbered_or_not_there(void **state)
{
	(void)state;
	assert_int_equal(fault_each(log_events), 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_becomes_its_whole_text_or_none),
		cmocka_unit_test(a_text_becomes_its_whole_state_or_none),
		cmocka_unit_test(a_state_file_is_replaced_or_left_as_it_was),
		cmocka_unit_test(an_event_is_numbered_or_not_there),
	};
	int failed;

	fault_watch_jansson();
	made_up_state("web1", &made_up);
	whole = vm_state_to_text(&made_up);
	failed = cmocka_run_group_tests(tests, NULL, NULL);
	free(whole);
	vm_state_finish(&made_up);
	return failed;
}
