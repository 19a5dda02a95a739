/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "launcher/doctor/lock_judge.h"
#include "launcher/doctor/report.h"

static void names_of_lock_files_are_known(void **state)
{
	static const struct {
		const char *name;
		enum lock_name is;
	} rows[] = {
		{ "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef",
			LOCK_NAME_PATH },
		{ "0123456789ABCDEF0123456789abcdef0123456789abcdef0123456789abcdef",
			LOCK_NAME_NONE },
		{ "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcde",
			LOCK_NAME_NONE },
		{ "ino-12", LOCK_NAME_IDENTITY },
		{ "ino-", LOCK_NAME_NONE },
		{ "ino-x", LOCK_NAME_NONE },
		{ "dev-8:16", LOCK_NAME_DEVICE },
		{ "dev-8:16-part1", LOCK_NAME_DEVICE },
		{ "device", LOCK_NAME_NONE },
		{ "wwid-naa.5000", LOCK_NAME_DEVICE },
		{ "dm-LVM-abc", LOCK_NAME_DEVICE },
		{ "web1.qcow2", LOCK_NAME_NONE },
		{ "", LOCK_NAME_NONE },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		assert_int_equal(lock_name_of(rows[i].name), rows[i].is);
}

#define UUID "00000000-1111-4222-8333-444444444444"
#define HELD                                                                              \
	"vmlatch 1 gen=7 id=1:2 held=1 since=1795342440 pid=4711 start=99 instance=" UUID \
	" boot=" UUID " host=kvm3 vm=web1"

static void a_lock_file_has_a_record_or_not(void **state)
{
	struct record record = { 0 };

	(void)state;
	assert_int_equal(lock_content_of("", 0, &record), LOCK_CONTENT_EMPTY);
	assert_int_equal(lock_content_of("hello", 5, &record), LOCK_CONTENT_FOREIGN);
	assert_int_equal(lock_content_of("vmlatch 1 gen=x\n", 16, &record), LOCK_CONTENT_GARBLED);
	assert_int_equal(lock_content_of("vmlatch ", 8, &record), LOCK_CONTENT_GARBLED);
	assert_int_equal(
		lock_content_of(HELD "\n", strlen(HELD) + 1, &record), LOCK_CONTENT_RECORD);
	assert_string_equal(record.owner.vm, "web1");
	assert_int_equal(lock_content_of(HELD, strlen(HELD), &record), LOCK_CONTENT_RECORD);
}

/* One file's findings: the level of the first, or -1; its text. */
static int judge(const struct lock_seen *seen, char text[static 1024])
{
	const struct lock_view_point from = { .uid = 10, .directory_uid = 20 };
	struct findings findings = { 0 };
	int level = -1;

	*text = '\0';
	lock_judge(seen, &from, &findings);
	if (findings.n) {
		level = findings.items[0].level;
		snprintf(text, 1024, "%s", findings.items[0].text);
	}
	findings_finish(&findings);
	return level;
}

static void lock_files_are_judged(void **state)
{
	const struct lock_seen plain = {
		.path = "F",
		.name = LOCK_NAME_PATH,
		.info = { .st_mode = S_IFREG | 0600, .st_nlink = 1, .st_uid = 10 },
		.content = LOCK_CONTENT_EMPTY,
	};
	struct lock_seen rows[16];
	static const struct {
		int level;
		const char *says;
	} expected[] = {
		{ -1, "" },
		{ FINDING_PROBLEM, "symbolic link" },
		{ FINDING_PROBLEM, "a FIFO" },
		{ FINDING_PROBLEM, "a directory" },
		{ FINDING_PROBLEM, "hard links" },
		{ FINDING_PROBLEM, "another user (uid 30)" },
		{ -1, "" },
		{ -1, "" },
		{ FINDING_WARNING, "mode 0640" },
		{ -1, "" },
		{ FINDING_WARNING, "damaged record" },
		{ FINDING_WARNING, "something else" },
		{ FINDING_WARNING, "VM 'web1' (host kvm3" },
		{ FINDING_PROBLEM, "still runs" },
		{ -1, "" },
		{ -1, "" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < 16; i++)
		rows[i] = plain;
	rows[1].info.st_mode = S_IFLNK | 0777;
	rows[2].info.st_mode = S_IFIFO | 0600;
	rows[3].info.st_mode = S_IFDIR | 0700;
	rows[4].info.st_nlink = 2;
	rows[5].info.st_uid = 30;
	rows[6].info.st_uid = 0;
	rows[7].info.st_uid = 20;
	rows[8].info.st_mode = S_IFREG | 0640;
	rows[9].info.st_mode = S_IFREG | 0660; /* a device's: its group may */
	rows[9].name = LOCK_NAME_DEVICE;
	rows[10].content = LOCK_CONTENT_GARBLED;
	rows[11].content = LOCK_CONTENT_FOREIGN;
	for (i = 12; i < 16; i++)
		assert_int_equal(
			rows[i].content = lock_content_of(HELD, strlen(HELD), &rows[i].record),
			LOCK_CONTENT_RECORD);
	rows[13].same_boot = rows[13].alive = true;
	rows[14].held = true;
	rows[15].lockless = true;
	for (i = 0; i < 16; i++) {
		char text[1024];

		assert_int_equal(judge(&rows[i], text), expected[i].level);
		assert_non_null(strstr(text, expected[i].says));
		assert_int_equal(lock_is_stale(&rows[i]), i == 12 || i == 13);
	}
}

static void a_directory_is_judged_as_a_lockspace(void **state)
{
	static const struct {
		mode_t mode;
		uid_t uid;
		bool fit;
		size_t findings;
	} rows[] = {
		{ 0700, 10, true, 0 },
		{ 0755, 0, true, 0 },
		{ 01777, 0, true, 1 },
		{ 0777, 0, false, 1 },
		{ 0775, 0, true, 1 },
		{ 01775, 0, true, 0 },
		{ 0755, 30, true, 1 },
		{ 0777, 30, false, 2 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		const struct stat info = { .st_mode = S_IFDIR | rows[i].mode,
			.st_uid = rows[i].uid };
		struct findings findings = { 0 };

		assert_int_equal(lock_directory_judge(&info, 10, &findings), rows[i].fit);
		assert_int_equal(findings.n, rows[i].findings);
		findings_finish(&findings);
	}
}

static void many_findings_are_counted_and_problems_stay(void **state)
{
	struct findings findings = { 0 };
	size_t i, problems = 0;

	(void)state;
	for (i = 0; i < FINDINGS_MAX + 5; i++)
		findings_add(&findings, FINDING_WARNING, "warning %zu", i);
	findings_add(&findings, FINDING_PROBLEM, "the problem");
	assert_int_equal(findings.n, FINDINGS_MAX);
	assert_int_equal(findings.left_out, 6);
	for (i = 0; i < findings.n; i++)
		problems += strcmp(findings.items[i].text, "the problem") == 0;
	assert_int_equal(problems, 1);
	findings_finish(&findings);
}

static void the_verdict_follows_from_what_was_tried(void **state)
{
	static char second[] = "/mnt";
	static const struct lock_trials broken = { .broken = "b" },
					none = { .code = -ENOLCK, .broken = "b" },
					virtlockd = { .broken = "b", .without_libvirt = true };
	const struct {
		struct probe_result probe;
		enum reach_answer reach;
		enum doctor_verdict verdict;
		int status;
	} rows[] = {
		{ { 0 }, REACH_YES, DOCTOR_HOSTS, 0 },
		{ { 0 }, REACH_NO, DOCTOR_HOST, 0 },
		{ { 0 }, REACH_UNKNOWN, DOCTOR_MAYBE, 0 },
		{ { .locks = broken }, REACH_YES, DOCTOR_UNFIT, 69 },
		{ { .locks = none }, REACH_YES, DOCTOR_UNFIT, 69 },
		{ { .locks = virtlockd }, REACH_YES, DOCTOR_HOSTS, 0 },
		{ { .second_path = second, .second = broken }, REACH_YES, DOCTOR_UNFIT, 69 },
		{ { .second_path = second }, REACH_YES, DOCTOR_HOSTS, 0 },
		{ { .attribute_code = -ENOTSUP }, REACH_NO, DOCTOR_HOST, 0 },
		{ { .code = -EROFS }, REACH_YES, DOCTOR_UNTRIED, 77 },
		{ { .code = -EACCES }, REACH_YES, DOCTOR_UNTRIED, 77 },
		{ { .code = -ENOSPC }, REACH_YES, DOCTOR_UNTRIED, 69 },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct doctor_report report = { .probe = rows[i].probe,
			.reach = { .answer = rows[i].reach } };

		assert_int_equal(doctor_verdict_of(&report), rows[i].verdict);
		assert_int_equal(doctor_status_of(&report), rows[i].status);
	}
}

static void what_is_amiss_with_the_file_system_is_said(void **state)
{
	static const struct {
		struct probe_result probe;
		enum finding_level level;
		const char *says;
	} rows[] = {
		{ { .code = -EROFS }, FINDING_PROBLEM, "no file can be made" },
		{ { .locks = { .code = -ENOLCK, .broken = "b" },
			  .attribute_bytes = 4096,
			  .mtime_ns = 1,
			  .inotify_sees = true },
			FINDING_PROBLEM, "do not work" },
		{ { .locks = { .broken = "b", .without_libvirt = true },
			  .attribute_bytes = 4096,
			  .mtime_ns = 1,
			  .inotify_sees = true },
			FINDING_WARNING, "do not hold: b" },
		{ { .attribute_code = -ENOTSUP, .mtime_ns = 1, .inotify_sees = true },
			FINDING_WARNING, "keep no record" },
		{ { .attribute_bytes = 256, .mtime_ns = 1, .inotify_sees = true }, FINDING_NOTE,
			"very long names" },
		{ { .attribute_bytes = 4096, .inotify_sees = true }, FINDING_WARNING,
			"does not move" },
		{ { .attribute_bytes = 4096, .mtime_ns = 2000000000, .inotify_sees = true },
			FINDING_WARNING, "every 2000 ms" },
		{ { .attribute_bytes = 4096, .mtime_ns = 1 }, FINDING_WARNING, "inotify" },
		{ { .attribute_bytes = 4096, .write_code = -ENOSPC, .inotify_sees = true },
			FINDING_WARNING, "cannot be written" },
	};
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(rows) / sizeof(rows[0]); i++) {
		struct doctor_report report = { .probe = rows[i].probe };

		doctor_probe_judge(&report);
		assert_int_equal(report.findings.n, 1);
		assert_int_equal(report.findings.items[0].level, rows[i].level);
		assert_non_null(strstr(report.findings.items[0].text, rows[i].says));
		findings_finish(&report.findings);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_lock_files_are_known),
		cmocka_unit_test(a_lock_file_has_a_record_or_not),
		cmocka_unit_test(lock_files_are_judged),
		cmocka_unit_test(a_directory_is_judged_as_a_lockspace),
		cmocka_unit_test(many_findings_are_counted_and_problems_stay),
		cmocka_unit_test(the_verdict_follows_from_what_was_tried),
		cmocka_unit_test(what_is_amiss_with_the_file_system_is_said),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
