/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include <stdio.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/doctor/report.h"
#include "launcher/json_text.h"

static json_t *file_system_json(const struct mount *mount)
{
	_cleanup_(str_finish) struct str options = { 0 };
	json_auto_t *object = json_object();

	reach_options(mount, &options);
	if (!object || options.failed || json_text_set(object, "type", mount->type) < 0 ||
		json_text_set(object, "mount-point", mount->point) < 0 ||
		json_text_set(object, "source", mount->source) < 0 ||
		json_text_set(object, "options", options.len ? options.text : "") < 0)
		return NULL;
	return json_incref(object);
}

static json_t *reach_json(const struct reach *reach)
{
	return json_pack("{s:s, s:b, s:s, s:s*}", "answer", reach_answer_name(reach->answer),
		"network", reach->network, "why", reach->why, "advice", reach->advice);
}

static json_t *trials_json(const struct lock_trials *trials, const char *path)
{
	bool fine = trials->code == 0 && !trials->broken;
	char phrase[256];
	json_auto_t *object = json_pack("{s:b, s:b, s:s*}", "exclude",
		fine || (trials->code == 0 && trials->without_libvirt), "libvirt", fine, "why",
		fine ? NULL : doctor_trials_phrase(trials, phrase, sizeof(phrase)));

	if (!object || json_text_set(object, "path", path) < 0)
		return NULL;
	return json_incref(object);
}

/* NULL: no memory, or nothing was tried */
static json_t *probe_json(const struct probe_result *probe)
{
	json_auto_t *object =
		json_pack("{s:o, s:I, s:I, s:b}", "locks", trials_json(&probe->locks, NULL),
			"attribute-bytes", (json_int_t)probe->attribute_bytes, "mtime-ns",
			(json_int_t)probe->mtime_ns, "inotify", probe->inotify_sees);

	if (object && probe->second_path &&
		json_object_set_new(object, "second-mount",
			trials_json(&probe->second, probe->second_path)) < 0)
		return NULL;
	return json_incref(object);
}

static json_t *findings_json(const struct findings *findings)
{
	json_auto_t *array = json_array();
	size_t i;

	for (i = 0; i < findings->n; i++) {
		json_auto_t *object =
			json_pack("{s:s}", "level", finding_level_name(findings->items[i].level));

		if (!object || json_text_set(object, "text", findings->items[i].text) < 0 ||
			json_array_append(array, object) < 0)
			return NULL;
	}
	return json_incref(array);
}

static json_t *directory_json(const struct doctor_report *report)
{
	char mode[8];

	snprintf(mode, sizeof(mode), "%04o", report->info.st_mode & 07777);
	return json_pack("{s:I, s:s, s:b}", "uid", (json_int_t)report->info.st_uid, "mode", mode,
		"lockspace", report->lockspace);
}

static json_t *files_json(const struct lock_scan *scan)
{
	return json_pack("{s:I, s:I, s:I, s:b}", "count", (json_int_t)scan->n, "locked",
		(json_int_t)scan->held, "left-behind", (json_int_t)scan->stale, "more", scan->cut);
}

json_t *doctor_report_json(const struct doctor_report *report)
{
	enum doctor_verdict verdict = doctor_verdict_of(report);
	json_auto_t *object = json_pack("{s:s, s:i, s:o, s:o, s:o, s:o, s:I}", "verdict",
		doctor_verdict_name(verdict), "status", doctor_status_of(report), "other-hosts",
		reach_json(&report->reach), "directory", directory_json(report), "lock-files",
		files_json(&report->scan), "findings", findings_json(&report->findings), "left-out",
		(json_int_t)report->findings.left_out);

	if (!object || report->findings.failed || json_text_set(object, "path", report->path) < 0)
		return NULL;
	if (report->mount &&
		json_object_set_new(object, "file-system", file_system_json(report->mount)) < 0)
		return NULL;
	if (report->probe.code == 0 &&
		json_object_set_new(object, "tried", probe_json(&report->probe)) < 0)
		return NULL;
	return json_incref(object);
}
