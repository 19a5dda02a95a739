/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/doctor/examine.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "base/file.h"
#include "launcher/doctor/lock_judge.h"
#include "launcher/json_text.h"

#define MOUNTINFO_MAX (16 * 1024 * 1024)

static void mounts_read(struct mount_table *table)
{
	_cleanup_(freep) char *text = NULL;
	size_t len;

	if (file_read_at(AT_FDCWD, "/proc/self/mountinfo", 0, MOUNTINFO_MAX, &text, &len) == 0)
		(void)!mount_table_parse(text, len, table);
}

static const struct mount *mount_of(const struct mount_table *table, int fd)
{
	struct statx info;

	if (statx(fd, "", AT_EMPTY_PATH, STATX_MNT_ID, &info) < 0 ||
		!(info.stx_mask & STATX_MNT_ID))
		return NULL;
	return mount_table_find(table, info.stx_mnt_id);
}

/* As the kernel names it, so that it can be found below its mount. */
static int canonical_path(int fd, char path[static PATH_MAX])
{
	char link[64];
	ssize_t len;

	snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
	len = readlink(link, path, PATH_MAX - 1);
	if (len < 0)
		return -errno;
	path[len] = '\0';
	return 0;
}

static void probe_directory(int fd, const struct mount_table *mounts,
	const struct probe_names *names, struct doctor_report *report)
{
	char path[PATH_MAX];
	const struct probe_place place = {
		.path = path,
		.fd = fd,
		.mounts = mounts,
		.mount = canonical_path(fd, path) == 0 ? report->mount : NULL,
	};

	probe_run(&place, names, &report->probe);
	doctor_probe_judge(report);
}

static void scan_directory(int fd, struct doctor_report *report)
{
	int ret = lock_scan_run(fd, &report->findings, &report->scan);

	if (ret < 0)
		findings_add(&report->findings, FINDING_WARNING,
			"what lies in it may not be read (%s): no lock file was looked at",
			strerror(-ret));
}

static int view_fill(const struct doctor_report *report, struct doctor_view *view)
{
	json_auto_t *object = NULL;
	_cleanup_(freep) char *text = NULL;

	view->status = doctor_status_of(report);
	if (!view->json) {
		doctor_report_text(report, &view->text);
		return view->text.failed ? -ENOMEM : 0;
	}
	object = doctor_report_json(report);
	text = object ? json_text_dump(object) : NULL;
	if (!text)
		return -ENOMEM;
	str_append(&view->text, text);
	return view->text.failed ? -ENOMEM : 0;
}

static int open_failed(const char *path, int code, struct error *err)
{
	if (code != -ENOTCONN)
		error_set(err, code, "directory %s: %s", path, strerror(-code));
	else
		error_set(err, code,
			"directory %s: %s: the program behind this file system has ended: unmount "
			"it, and mount it anew",
			path, strerror(-code));
	if (code == -ENOTDIR)
		return error_status(err, code, EX_NOINPUT);
	return code == -ENOENT || code == -EACCES ? code : error_status(err, code, EX_UNAVAILABLE);
}

int examine(const char *path, const struct probe_names *names, struct doctor_view *view,
	struct error *err)
{
	_cleanup_(mount_table_finish) struct mount_table mounts = { 0 };
	_cleanup_(doctor_report_finish) struct doctor_report report = { .path = path };
	_cleanup_(closep) int fd = open(path, O_PATH | O_DIRECTORY | O_CLOEXEC);
	int ret;

	if (fd < 0 || fstat(fd, &report.info) < 0)
		return open_failed(path, -errno, err);
	mounts_read(&mounts);
	report.mount = mount_of(&mounts, fd);
	report.reach = reach_of(report.mount);
	report.lockspace = lock_directory_judge(&report.info, geteuid(), &report.findings);
	probe_directory(fd, &mounts, names, &report);
	scan_directory(fd, &report);
	ret = report.findings.failed ? -ENOMEM : view_fill(&report, view);
	return ret < 0 ? error_set(err, ret, "no memory for what there is to say of %s", path) : 0;
}

void doctor_report_finish(struct doctor_report *report)
{
	probe_result_finish(&report->probe);
	findings_finish(&report->findings);
}
