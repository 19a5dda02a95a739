/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "base/cleanup.h"
#include "locking/fdinfo.h"
#include "locking/lock_conflict.h"
#include "locking/record.h"
#include "locking/stamp.h"
#include "locking/word.h"

#include <fcntl.h>

#define INSTANCE "00000000-1111-4222-8333-444444444444"
#define BOOT     "aaaaaaaa-bbbb-4ccc-8ddd-eeeeeeeeeeee"

static const struct record sample = {
	.generation = 7,
	.id = { 65024, 1234 },
	.owner = { .vm = "web1",
		.host = "kvm3",
		.instance = INSTANCE,
		.boot_id = BOOT,
		.pid = 4711,
		.start_time = 99 },
	.since = 1795342440,
	.held = true,
};

#define SAMPLE_TEXT                                                                \
	"vmlatch 1 gen=7 id=65024:1234 held=1 since=1795342440 pid=4711 start=99 " \
	"instance=" INSTANCE " boot=" BOOT " host=kvm3 vm=web1"

static char *text_of(const struct record *record)
{
	struct str out = { 0 };

	record_to_text(record, &out);
	return str_take(&out);
}

static void a_record_is_one_readable_line(void **state)
{
	_cleanup_(freep) char *text = text_of(&sample);

	(void)state;
	assert_string_equal(text, SAMPLE_TEXT);
}

static void a_record_survives_the_way_there_and_back(void **state)
{
	_cleanup_(freep) char *text = NULL;
	struct record odd = sample, read;

	(void)state;
	strcpy(odd.owner.vm, "-");
	strcpy(odd.owner.host, "a b\\c\x1b[2J\n\xc3\xbc=%s");
	odd.owner.instance[0] = '\0';
	odd.held = false;
	odd.generation = INT64_MAX;
	text = text_of(&odd);
	assert_non_null(strstr(text, "host=a\\x20b\\x5cc\\x1b[2J\\x0a\\xc3\\xbc=%s vm=\\x2d"));
	assert_int_equal(record_from_text(text, strlen(text), &read), 0);
	assert_string_equal(read.owner.vm, odd.owner.vm);
	assert_string_equal(read.owner.host, odd.owner.host);
	assert_string_equal(read.owner.instance, "");
	assert_string_equal(read.owner.boot_id, BOOT);
	assert_true(read.generation == odd.generation && !read.held && read.owner.pid == 4711);
	assert_true(read.id.dev == 65024 && read.id.ino == 1234 && read.since == odd.since);
}

static void the_longest_names_fit(void **state)
{
	_cleanup_(freep) char *text = NULL;
	struct record longest = sample, read;

	(void)state;
	memset(longest.owner.vm, 0xff, LOCK_NAME_SIZE - 1);
	memset(longest.owner.host, '\\', LOCK_NAME_SIZE - 1);
	text = text_of(&longest);
	assert_true(strlen(text) < RECORD_TEXT_MAX);
	assert_int_equal(record_from_text(text, strlen(text), &read), 0);
	assert_string_equal(read.owner.vm, longest.owner.vm);
}

static void hostile_records_are_refused(void **state)
{
	static const char *const texts[] = {
		"",
		"vmlatch",
		"vmlatch 2 gen=7",
		"vmlatch 1 gen=0 id=65024:1234 held=1 since=1 pid=1 start=9 instance=- boot=- "
		"host=a vm=b",
		"vmlatch 1 gen=9223372036854775808 id=1:1 held=1 since=1 pid=1 start=9 instance=- "
		"boot=- "
		"host=a vm=b",
		"vmlatch 1 gen=7 id=65024 held=1 since=1 pid=1 start=9 instance=- boot=- host=a "
		"vm=b",
		"vmlatch 1 gen=7 id=1:1 held=2 since=1 pid=1 start=9 instance=- boot=- host=a vm=b",
		"vmlatch 1 gen=7 id=1:1 held=1 since=1 pid=-1 start=9 instance=- boot=- host=a "
		"vm=b",
		"vmlatch 1 gen=7 id=1:1 held=1 since=1 pid=2147483648 start=9 instance=- boot=- "
		"host=a "
		"vm=b",
		"vmlatch 1 gen=7 id=1:1 held=1 since=1 pid=1 start=9 instance=xyz boot=- host=a "
		"vm=b",
		"vmlatch 1 gen=7 id=1:1 held=1 since=1 pid=1 start=9 instance=- boot=- host=\x1b "
		"vm=b",
		"vmlatch 1 gen=7 id=1:1 held=1 since=1 pid=1 start=9 instance=- boot=- host=\\x00 "
		"vm=b",
		"vmlatch 1 gen=7 id=1:1 held=1 since=1 pid=1 start=9 instance=- boot=- host=\\x4 "
		"vm=b",
		"vmlatch 1 gen=7 id=1:1 held=1 since=1 pid=1 start=9 instance=- boot=- host= vm=b",
		"vmlatch 1 gen=7 id=1:1 held=1 since=1 pid=1 start=9 instance=- boot=- host=a vm=b "
		"more",
		"vmlatch 1 gen=7 gen=7 id=1:1 held=1 since=1 pid=1 start=9 instance=- boot=- "
		"host=a vm=b",
	};
	char longest[RECORD_TEXT_MAX + 2];
	struct record read = sample;
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(texts) / sizeof(texts[0]); i++)
		assert_int_equal(record_from_text(texts[i], strlen(texts[i]), &read), -EINVAL);
	memset(longest, 'a', sizeof(longest));
	memcpy(longest, SAMPLE_TEXT, strlen(SAMPLE_TEXT));
	assert_int_equal(record_from_text(longest, sizeof(longest), &read), -EINVAL);
	assert_int_equal(record_from_text(longest, strlen(SAMPLE_TEXT) + 256, &read), -EINVAL);
	assert_memory_equal(&read, &sample, sizeof(read)); /* untouched */
}

static void every_cut_of_a_record_is_refused(void **state)
{
	struct record read;
	size_t len;

	(void)state;
	/* "vm=w" is a whole record of another VM: nothing marks the end of the last name */
	for (len = 0; len <= strlen(SAMPLE_TEXT) - strlen("web1"); len++)
		assert_int_equal(record_from_text(SAMPLE_TEXT, len, &read), -EINVAL);
	assert_int_equal(record_from_text(SAMPLE_TEXT, strlen(SAMPLE_TEXT), &read), 0);
}

static void a_stamp_sees_writers_and_excuses_growth(void **state)
{
	const struct stamp saved = { 5, 1000, 100, 1 };
	struct stamp now = saved;

	(void)state;
	assert_true(stamp_is_kept(&saved, &now));
	now.size = 2000;
	assert_true(stamp_is_kept(&saved, &now));
	now.size = 999;
	assert_false(stamp_is_kept(&saved, &now));
	now = saved;
	now.mtime_ns++;
	assert_false(stamp_is_kept(&saved, &now));
	now = saved;
	now.mtime_s--;
	assert_false(stamp_is_kept(&saved, &now));
	now = saved;
	now.ino++;
	assert_false(stamp_is_kept(&saved, &now));
}

static void a_refusal_names_disk_holder_and_time(void **state)
{
	struct lock_conflict conflict = {
		.path = "/srv/vm/web1.qcow2",
		.holder = { .vm = "web1-test", .host = "kvm3", .pid = 4711, .since = 1795342440 },
	};
	char text[512];

	(void)state;
	setenv("TZ", "UTC", 1);
	tzset();
	assert_string_equal(lock_conflict_sentence(&conflict, text, sizeof(text)),
		"/srv/vm/web1.qcow2 is in use by VM 'web1-test' (host kvm3, pid 4711, since "
		"2026-11-22 10:14)");
	conflict.holder = (struct lock_holder){ .vm = "web1-test", .host = "kvm3" };
	assert_string_equal(lock_conflict_sentence(&conflict, text, sizeof(text)),
		"/srv/vm/web1.qcow2 is in use by VM 'web1-test' (host kvm3)");
	conflict.holder = (struct lock_holder){ .process = "virtlockd", .pid = 12 };
	assert_string_equal(lock_conflict_sentence(&conflict, text, sizeof(text)),
		"/srv/vm/web1.qcow2 is in use by virtlockd (pid 12)");
	conflict.holder = (struct lock_holder){ .pid = 77 };
	assert_string_equal(lock_conflict_sentence(&conflict, text, sizeof(text)),
		"/srv/vm/web1.qcow2 is in use by a process (pid 77)");
	conflict.holder = (struct lock_holder){ .vm = "a" };
	assert_string_equal(lock_conflict_sentence(&conflict, text, sizeof(text)),
		"/srv/vm/web1.qcow2 is in use by VM 'a'");
	conflict.holder = (struct lock_holder){ 0 };
	assert_string_equal(lock_conflict_sentence(&conflict, text, sizeof(text)),
		"/srv/vm/web1.qcow2 is in use by a process of another host or user");
}

static void the_end_of_a_long_path_is_shown_and_the_holder_stays(void **state)
{
	struct lock_conflict conflict = { .holder = { .vm = "web1" } };
	char text[512];

	(void)state;
	memset(conflict.path, 'd', 4000);
	strcpy(conflict.path + 4000, "/name.img");
	lock_conflict_sentence(&conflict, text, sizeof(text));
	assert_true(strncmp(text, "...ddd", 6) == 0);
	assert_non_null(strstr(text, "/name.img is in use by VM 'web1'"));
}

static void fdinfo_tells_the_lock_on_a_byte(void **state)
{
	const char *text = "pos:\t0\nflags:\t02100002\nino:\t9\n"
			   "lock:\t1: OFDLCK ADVISORY  WRITE -1 fe:00:9 0 0\n"
			   "lock:\t2: OFDLCK ADVISORY  READ -1 fe:00:9 3 4\n"
			   "lock:\t3: POSIX  ADVISORY  READ 12 fe:00:9 100 EOF\n"
			   "lock:\t4: FLOCK  ADVISORY  WRITE 12 fe:00:9 0 EOF\n"
			   "lock:\tnonsense\n";

	(void)state;
	assert_int_equal(fdinfo_lock_type(text, 0), F_WRLCK);
	assert_int_equal(fdinfo_lock_type(text, 1), F_UNLCK);
	assert_int_equal(fdinfo_lock_type(text, 2), F_UNLCK);
	assert_int_equal(fdinfo_lock_type(text, 3), F_RDLCK);
	assert_int_equal(fdinfo_lock_type(text, 4), F_RDLCK);
	assert_int_equal(fdinfo_lock_type(text, 5000), F_RDLCK);
	assert_int_equal(fdinfo_lock_type("", 0), F_UNLCK);
}

static void numbers_of_words_are_bounded(void **state)
{
	uint64_t n = 5;

	(void)state;
	assert_int_equal(
		word_to_u64(&(struct word){ "18446744073709551615", 20 }, UINT64_MAX, &n), 0);
	assert_true(n == UINT64_MAX);
	assert_int_equal(
		word_to_u64(&(struct word){ "18446744073709551616", 20 }, UINT64_MAX, &n), -EINVAL);
	assert_int_equal(word_to_u64(&(struct word){ "11", 2 }, 10, &n), -EINVAL);
	assert_int_equal(word_to_u64(&(struct word){ "1:", 2 }, 10, &n), -EINVAL);
	assert_int_equal(word_to_u64(&(struct word){ "", 0 }, 10, &n), -EINVAL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_record_is_one_readable_line),
		cmocka_unit_test(a_record_survives_the_way_there_and_back),
		cmocka_unit_test(the_longest_names_fit),
		cmocka_unit_test(hostile_records_are_refused),
		cmocka_unit_test(every_cut_of_a_record_is_refused),
		cmocka_unit_test(a_stamp_sees_writers_and_excuses_growth),
		cmocka_unit_test(a_refusal_names_disk_holder_and_time),
		cmocka_unit_test(the_end_of_a_long_path_is_shown_and_the_holder_stays),
		cmocka_unit_test(fdinfo_tells_the_lock_on_a_byte),
		cmocka_unit_test(numbers_of_words_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
