/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "locking/saved_state.h"

#define INSTANCE "00000000-1111-4222-8333-444444444444"
#define ENTRY_A \
	"disk,exclusive,locked,65024:1234,7," INSTANCE ",1048576@1795342440.000000001,/srv/a.img"
#define ENTRY_B "disk,reader,skipped,9:9,0,-,5@-3.500000000,/srv/b\\x20\\x0a,c"
#define ENTRY_C "lease,exclusive,free,0:0,0,-,-,space:key"
#define SAMPLE  "file/1 " ENTRY_C " " ENTRY_B " " ENTRY_A

static void a_state_survives_the_way_there_and_back(void **state)
{
	_cleanup_(saved_state_finish) struct saved_state read = { 0 };
	_cleanup_(freep) char *text = NULL;
	struct str out = { 0 };
	size_t i;

	(void)state;
	assert_int_equal(saved_state_from_text(SAMPLE, "file", &read, NULL), 0);
	assert_int_equal(read.n, 3);
	assert_int_equal(read.entries[0].resource.kind, RESOURCE_LEASE);
	assert_int_equal(read.entries[1].hold, SAVED_SKIPPED);
	assert_string_equal(read.entries[1].resource.path, "/srv/b \n,c");
	assert_true(read.entries[1].stamp.mtime_s == -3);
	assert_true(read.entries[2].generation == 7 && read.entries[2].stamp.ino == 1234);
	assert_string_equal(read.entries[2].instance, INSTANCE);
	saved_state_begin(&out, read.driver);
	for (i = 0; i < read.n; i++)
		saved_state_append(&out, &read.entries[i]);
	text = str_take(&out);
	assert_string_equal(text, SAMPLE);
}

static void an_empty_vm_has_a_state_too(void **state)
{
	_cleanup_(saved_state_finish) struct saved_state read = { 0 };

	(void)state;
	assert_int_equal(saved_state_from_text("nop/1", "nop", &read, NULL), 0);
	assert_int_equal(read.n, 0);
}

static void hostile_states_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"file",
		"file/2",
		"/1",
		"a-driver-with-a-name-of-more-than-thirty-one-letters/1",
		"file/1 disk",
		"file/1 disk,exclusive,locked,65024:1234,7,-,-,",
		"file/1 disk,exclusive,locked,65024:1234,7,-,-,-",
		"file/1 tape,exclusive,locked,65024:1234,7,-,-,/a",
		"file/1 disk,exclusively,locked,65024:1234,7,-,-,/a",
		"file/1 disk,exclusive,maybe,65024:1234,7,-,-,/a",
		"file/1 disk,exclusive,locked,65024,7,-,-,/a",
		"file/1 disk,exclusive,locked,1:1,-7,-,-,/a",
		"file/1 disk,exclusive,locked,1:1,7,xyz,-,/a",
		"file/1 disk,exclusive,locked,1:1,7,-,5,/a",
		"file/1 disk,exclusive,locked,1:1,7,-,5@1.5,/a",
		"file/1 disk,exclusive,locked,1:1,7,-,5@--1.000000000,/a",
		"file/1 disk,exclusive,locked,1:0,7,-,5@1.000000000,/a",
		"file/1 disk,exclusive,locked,1:1,7,-,-,/a\nb",
		"file/1  disk,exclusive,locked,1:1,7,-,-,/a",
		"file/1 disk,exclusive,locked,1:1,7,-,-,/a,",
	};
	struct saved_state read = { .n = 77 };
	struct error err = { 0 };
	size_t i, n = sizeof(texts) / sizeof(texts[0]);

	(void)state;
	for (i = 0; i + 1 < n; i++) {
		assert_int_equal(saved_state_from_text(texts[i], NULL, &read, &err), -EINVAL);
		assert_non_null(strstr(err.text, "cannot be read"));
	}
	assert_int_equal(read.n, 77); /* untouched */
	/* a comma belongs to the path */
	assert_int_equal(saved_state_from_text(texts[n - 1], NULL, &read, &err), 0);
	assert_string_equal(read.entries[0].resource.path, "/a,");
	saved_state_finish(&read);
}

static void a_path_longer_than_any_path_is_refused(void **state)
{
	struct str text = { 0 };
	struct saved_state read;
	int i;

	(void)state;
	str_append(&text, "file/1 disk,exclusive,locked,1:1,7,-,-,");
	for (i = 0; i < 4096; i++)
		str_append(&text, "a");
	assert_int_equal(saved_state_from_text(text.text, NULL, &read, NULL), -EINVAL);
	str_finish(&text);
}

static void a_state_of_another_driver_is_refused(void **state)
{
	struct saved_state read;
	struct error err = { 0 };

	(void)state;
	assert_int_equal(saved_state_from_text(SAMPLE, "nop", &read, &err), -EINVAL);
	assert_non_null(strstr(err.text, "driver 'file', not of 'nop'"));
}

static void what_is_detached_leaves_the_state(void **state)
{
	struct resource gone = { .kind = RESOURCE_DISK, .path = "/x", .id = { 9, 9 } };
	char *text = NULL;

	(void)state;
	assert_int_equal(saved_state_without(SAMPLE, &gone, &text), 0);
	assert_string_equal(text, "file/1 " ENTRY_C " " ENTRY_A);
	free(text);
	gone = (struct resource){ .kind = RESOURCE_LEASE, .path = "space:key" };
	assert_int_equal(saved_state_without(SAMPLE, &gone, &text), 0);
	assert_string_equal(text, "file/1 " ENTRY_B " " ENTRY_A);
	free(text);
	gone.path = "space:other";
	assert_int_equal(saved_state_without(SAMPLE, &gone, &text), 0);
	assert_string_equal(text, SAMPLE);
	free(text);
	assert_int_equal(saved_state_without("nonsense", &gone, &text), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_state_survives_the_way_there_and_back),
		cmocka_unit_test(an_empty_vm_has_a_state_too),
		cmocka_unit_test(hostile_states_are_refused),
		cmocka_unit_test(a_path_longer_than_any_path_is_refused),
		cmocka_unit_test(a_state_of_another_driver_is_refused),
		cmocka_unit_test(what_is_detached_leaves_the_state),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
