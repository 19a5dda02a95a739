/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <inttypes.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/doctor/report.h"

#define SHOWN_SIZE 4096
#define LABEL      "  %-12s "

static void line_file_system(const struct doctor_report *report, struct str *out)
{
	_cleanup_(str_finish) struct str options = { 0 };
	char point[SHOWN_SIZE], source[SHOWN_SIZE];
	const struct mount *mount = report->mount;

	str_printf(out, LABEL, "file system");
	if (!mount) {
		str_append(out, "not known\n");
		return;
	}
	reach_options(mount, &options);
	str_printf(out, "%s, mounted on %s from %s", mount->type,
		str_printable(mount->point, point, sizeof(point)),
		str_printable(mount->source, source, sizeof(source)));
	if (options.len)
		str_printf(out, " (%s)", options.text);
	str_append(out, "\n");
}

static void line_reach(const struct doctor_report *report, struct str *out)
{
	static const char *const answers[] = {
		[REACH_UNKNOWN] = "not known",
		[REACH_NO] = "not reached",
		[REACH_YES] = "reached",
	};
	const struct reach *reach = &report->reach;

	str_printf(out, LABEL "%s: %s", "other hosts", answers[reach->answer], reach->why);
	str_printf(out, "%s%s\n", reach->advice ? "; " : "", reach->advice ? reach->advice : "");
}

static void line_locks(const struct doctor_report *report, struct str *out)
{
	const struct probe_result *probe = &report->probe;
	char phrase[256], path[SHOWN_SIZE];

	str_printf(out, LABEL "of two processes %s\n", "locks",
		doctor_trials_phrase(&probe->locks, phrase, sizeof(phrase)));
	if (probe->second_path)
		str_printf(out, LABEL "through %s too: %s\n", "",
			str_printable(probe->second_path, path, sizeof(path)),
			doctor_trials_phrase(&probe->second, phrase, sizeof(phrase)));
}

static void line_attribute(const struct doctor_report *report, struct str *out)
{
	const struct probe_result *probe = &report->probe;

	str_printf(out, LABEL, "attribute");
	if (probe->attribute_code < 0)
		str_printf(out, "none (%s)\n", strerror(-probe->attribute_code));
	else
		str_printf(out, "user.vmlatch of %" PRIu64 " bytes\n", probe->attribute_bytes);
}

static void line_mtime(const struct doctor_report *report, struct str *out)
{
	int64_t ns = report->probe.mtime_ns;

	str_printf(out, LABEL, "mtime");
	if (report->probe.write_code < 0)
		str_append(out, "not tried\n");
	else if (!ns)
		str_append(out, "does not move\n");
	else if (ns < 1000000)
		str_printf(out, "moves every %.3f ms\n", (double)ns / 1e6);
	else
		str_printf(out, "moves every %" PRId64 " ms\n", (ns + 500000) / 1000000);
}

static void line_inotify(const struct doctor_report *report, struct str *out)
{
	str_printf(out, LABEL "%s%s\n", "inotify",
		report->probe.inotify_sees ? "sees files made, renamed and removed"
					   : "sees nothing",
		report->probe.inotify_sees && report->reach.network ? " by this host" : "");
}

static void line_files(const struct doctor_report *report, struct str *out)
{
	const struct lock_scan *scan = &report->scan;

	str_printf(out, LABEL "%s%zu, %zu of them locked, %zu left behind\n", "lock files",
		scan->cut ? "at least " : "", scan->n, scan->held, scan->stale);
}

static void line_directory(const struct doctor_report *report, struct str *out)
{
	str_printf(out, LABEL "uid %u, mode %04o%s\n", "directory", report->info.st_uid,
		report->info.st_mode & 07777, report->lockspace ? "" : ", no --lockspace as it is");
}

void doctor_report_text(const struct doctor_report *report, struct str *out)
{
	const struct findings *findings = &report->findings;
	char path[SHOWN_SIZE];
	size_t i;

	str_printf(out, "%s: %s\n", str_printable(report->path, path, sizeof(path)),
		doctor_verdict_sentence(doctor_verdict_of(report)));
	line_file_system(report, out);
	line_reach(report, out);
	if (report->probe.code == 0) {
		line_locks(report, out);
		line_attribute(report, out);
		line_mtime(report, out);
		line_inotify(report, out);
	}
	line_directory(report, out);
	line_files(report, out);
	for (i = 0; i < findings->n; i++)
		str_printf(out, LABEL "%s\n", finding_level_name(findings->items[i].level),
			findings->items[i].text ? findings->items[i].text : "");
	if (findings->left_out)
		str_printf(out, LABEL "%zu more\n", "and", findings->left_out);
}
