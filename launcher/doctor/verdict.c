/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sysexits.h>

#include "launcher/doctor/report.h"
#include "locking/record.h"

#define SLOW_MTIME_NS 100000000 /* from here on two writes can look like none */

static const struct {
	const char *name;
	const char *sentence;
	int status;
} verdicts[] = {
	[DOCTOR_HOSTS] = { "hosts", "fit for locks of this host and others", 0 },
	[DOCTOR_HOST] = { "host", "fit for locks of this host only", 0 },
	[DOCTOR_MAYBE] = { "maybe",
		"fit for locks of this host; whether they reach others is not known", 0 },
	[DOCTOR_UNFIT] = { "unfit", "not fit for locks", EX_UNAVAILABLE },
	[DOCTOR_UNTRIED] = { "untried", "could not be tried", EX_UNAVAILABLE },
};

const char *doctor_verdict_name(enum doctor_verdict verdict)
{
	return verdicts[verdict].name;
}

const char *doctor_verdict_sentence(enum doctor_verdict verdict)
{
	return verdicts[verdict].sentence;
}

static bool trials_hold(const struct lock_trials *trials)
{
	return trials->code == 0 && (!trials->broken || trials->without_libvirt);
}

enum doctor_verdict doctor_verdict_of(const struct doctor_report *report)
{
	static const enum doctor_verdict by_reach[] = {
		[REACH_UNKNOWN] = DOCTOR_MAYBE,
		[REACH_NO] = DOCTOR_HOST,
		[REACH_YES] = DOCTOR_HOSTS,
	};
	const struct probe_result *probe = &report->probe;

	if (probe->code < 0)
		return DOCTOR_UNTRIED;
	if (!trials_hold(&probe->locks) || (probe->second_path && !trials_hold(&probe->second)))
		return DOCTOR_UNFIT;
	return by_reach[report->reach.answer];
}

int doctor_status_of(const struct doctor_report *report)
{
	int code = report->probe.code;

	if (code == -EACCES || code == -EPERM || code == -EROFS)
		return EX_NOPERM;
	return verdicts[doctor_verdict_of(report)].status;
}

const char *doctor_trials_phrase(const struct lock_trials *trials, char *text, size_t size)
{
	if (trials->code < 0)
		snprintf(text, size, "do not work (%s)", strerror(-trials->code));
	else if (trials->broken)
		snprintf(text, size, "do not hold: %s", trials->broken);
	else
		snprintf(text, size, "exclude each other, libvirt's kind too");
	return text;
}

static void judge_trials(
	const struct lock_trials *trials, const char *where, struct findings *findings)
{
	char phrase[256];

	if (trials->code < 0 || trials->broken)
		findings_add(findings, trials_hold(trials) ? FINDING_WARNING : FINDING_PROBLEM,
			"locks %s %s", where, doctor_trials_phrase(trials, phrase, sizeof(phrase)));
}

static void judge_records(const struct probe_result *probe, struct findings *findings)
{
	if (probe->attribute_code < 0)
		findings_add(findings, FINDING_WARNING,
			"images here keep no record (attribute user.vmlatch: %s): of a paused "
			"VM's disk only size and time tell whether somebody has used it; "
			"a --lockspace keeps records",
			strerror(-probe->attribute_code));
	else if (probe->attribute_bytes < RECORD_TEXT_MAX)
		findings_add(findings, FINDING_NOTE,
			"a record of an image with very long names may not fit (%llu bytes do)",
			(unsigned long long)probe->attribute_bytes);
}

static void judge_notice(const struct probe_result *probe, struct findings *findings)
{
	if (probe->write_code == 0 && !probe->mtime_ns)
		findings_add(findings, FINDING_WARNING,
			"the modification time of a file that is written does not move: what is "
			"written to a paused VM's disk without a lock is not noticed");
	else if (probe->mtime_ns > SLOW_MTIME_NS)
		findings_add(findings, FINDING_WARNING,
			"the modification time moves every %lld ms only: what is written to a "
			"paused VM's disk at once after its last write is not noticed",
			(long long)(probe->mtime_ns / 1000000));
	if (!probe->inotify_sees)
		findings_add(findings, FINDING_WARNING,
			"inotify does not tell what happens here%s%s: a lock file that is removed "
			"is noticed at the next resume only",
			probe->inotify_code < 0 ? ": " : "",
			probe->inotify_code < 0 ? strerror(-probe->inotify_code) : "");
}

void doctor_probe_judge(struct doctor_report *report)
{
	const struct probe_result *probe = &report->probe;
	struct findings *findings = &report->findings;

	if (probe->code < 0) {
		findings_add(findings, FINDING_PROBLEM,
			"no file can be made in it (%s): locks, attributes, times and inotify were "
			"not tried",
			strerror(-probe->code));
		return;
	}
	if (probe->write_code < 0)
		findings_add(findings, FINDING_WARNING,
			"a file in it cannot be written to (%s): times and a second mount were not "
			"tried",
			strerror(-probe->write_code));
	judge_trials(&probe->locks, "of two processes", findings);
	if (probe->second_path)
		judge_trials(&probe->second, "between two mounts", findings);
	judge_records(probe, findings);
	judge_notice(probe, findings);
}
