/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <sys/stat.h>

#include <jansson.h>

#include "base/str.h"
#include "launcher/doctor/finding.h"
#include "launcher/doctor/lock_scan.h"
#include "launcher/doctor/probe.h"
#include "launcher/doctor/reach.h"

/* All that was found out about one directory. */
struct doctor_report {
	const char *path; /* as it was given; borrowed */
	struct stat info;
	const struct mount *mount; /* NULL: not known; of the caller's table */
	struct reach reach;
	struct probe_result probe;
	bool lockspace; /* 'run --lockspace' would take it */
	struct lock_scan scan;
	struct findings findings;
};

void doctor_report_finish(struct doctor_report *report);

/* For people, and for programs (NULL: no memory). */
void doctor_report_text(const struct doctor_report *report, struct str *out);
json_t *doctor_report_json(const struct doctor_report *report);

/* What it comes to (pure). */
enum doctor_verdict {
	DOCTOR_HOSTS,   /* locks hold on this host and between hosts */
	DOCTOR_HOST,    /* on this host */
	DOCTOR_MAYBE,   /* on this host; whether between hosts is not known */
	DOCTOR_UNFIT,   /* locks do not work */
	DOCTOR_UNTRIED, /* it could not be tried */
};
enum doctor_verdict doctor_verdict_of(const struct doctor_report *report);
const char *doctor_verdict_name(enum doctor_verdict verdict);     /* for programs: one word */
const char *doctor_verdict_sentence(enum doctor_verdict verdict); /* for people */
int doctor_status_of(const struct doctor_report *report);         /* the exit status */

/* Put what the probe says amiss among the findings (pure). */
void doctor_probe_judge(struct doctor_report *report);

/* What the trials came to, as a clause. */
const char *doctor_trials_phrase(const struct lock_trials *trials, char *text, size_t size);
