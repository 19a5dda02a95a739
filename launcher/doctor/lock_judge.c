/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/doctor/lock_judge.h"

#include <string.h>

#include "locking/holder.h"
#include "locking/lock_conflict.h"

#define BEGINNING   "vmlatch " /* of every record (file_record.c) */
#define HOLDER_SIZE 1024

enum lock_content lock_content_of(const char *text, size_t len, struct record *ret)
{
	struct record record;

	if (!len)
		return LOCK_CONTENT_EMPTY;
	if (len < strlen(BEGINNING) || memcmp(text, BEGINNING, strlen(BEGINNING)) != 0)
		return LOCK_CONTENT_FOREIGN;
	if (text[len - 1] == '\n')
		len--;
	if (record_from_text(text, len, &record) < 0)
		return LOCK_CONTENT_GARBLED;
	*ret = record;
	return LOCK_CONTENT_RECORD;
}

bool lock_is_stale(const struct lock_seen *seen)
{
	return seen->content == LOCK_CONTENT_RECORD && seen->record.held && !seen->held &&
	       !seen->lockless;
}

static const char *type_name(mode_t mode)
{
	switch (mode & S_IFMT) {
	case S_IFLNK:
		return "a symbolic link";
	case S_IFDIR:
		return "a directory";
	case S_IFIFO:
		return "a FIFO";
	case S_IFSOCK:
		return "a socket";
	default:
		return "a device node";
	}
}

/* What 'run' refuses to use (lock_file.c). */
static bool judge_refused(
	const struct lock_seen *seen, const struct lock_view_point *from, struct findings *findings)
{
	const struct stat *info = &seen->info;
	bool ours = info->st_uid == 0 || info->st_uid == from->uid ||
		    info->st_uid == from->directory_uid;

	if (!S_ISREG(info->st_mode))
		findings_add(findings, FINDING_PROBLEM,
			"%s is %s, no lock file: 'run' refuses it: remove it", seen->path,
			type_name(info->st_mode));
	else if (info->st_nlink > 1)
		findings_add(findings, FINDING_PROBLEM,
			"%s has other names (hard links): 'run' refuses it: remove it", seen->path);
	else if (!ours && seen->name != LOCK_NAME_DEVICE)
		findings_add(findings, FINDING_PROBLEM,
			"%s belongs to another user (uid %u): 'run' refuses it: remove it",
			seen->path, info->st_uid);
	else
		return false;
	return true;
}

/* A lock for reading needs no more than the right to read. */
static void judge_mode(const struct lock_seen *seen, struct findings *findings)
{
	/* a device's lock file has the device's rights, group and all */
	mode_t much = seen->name == LOCK_NAME_DEVICE ? 0007 : 0077;

	if (seen->info.st_mode & much)
		findings_add(findings, FINDING_WARNING,
			"%s has mode %04o, so that others can lock it and keep a VM from starting: "
			"chmod %s it",
			seen->path, seen->info.st_mode & 07777, much == 0007 ? "o-rwx" : "600");
}

static const char *stale_reason(const struct lock_seen *seen)
{
	if (!seen->same_boot)
		return "that host went down, or its locks do not reach this one";
	return seen->alive ? "its process still runs, without this lock"
			   : "it ended without giving it back; the next one that takes it sets "
			     "that right";
}

static void judge_stale(const struct lock_seen *seen, struct findings *findings)
{
	char holder[HOLDER_SIZE];
	struct lock_holder last;

	if (!lock_is_stale(seen))
		return;
	holder_from_record(&seen->record, &last);
	findings_add(findings, seen->same_boot && seen->alive ? FINDING_PROBLEM : FINDING_WARNING,
		"%s says that %s holds it, but nobody does: %s", seen->path,
		lock_holder_phrase(&last, holder, sizeof(holder)), stale_reason(seen));
}

void lock_judge(
	const struct lock_seen *seen, const struct lock_view_point *from, struct findings *findings)
{
	if (judge_refused(seen, from, findings))
		return;
	judge_mode(seen, findings);
	judge_stale(seen, findings);
	if (seen->content == LOCK_CONTENT_GARBLED)
		findings_add(findings, FINDING_WARNING,
			"%s has a damaged record%s: who held it last is not known", seen->path,
			seen->held ? "" : "; the next one that takes it writes a new one");
	if (seen->content == LOCK_CONTENT_FOREIGN)
		findings_add(findings, FINDING_WARNING,
			"%s contains something else than a record: it can be locked, but will keep "
			"none: empty it",
			seen->path);
}

bool lock_directory_judge(const struct stat *info, uid_t self, struct findings *findings)
{
	bool sticky = info->st_mode & S_ISVTX;

	if (info->st_mode & S_IWOTH)
		findings_add(findings, sticky ? FINDING_WARNING : FINDING_PROBLEM,
			sticky ? "anybody can make files in it, and so keep a VM from starting: "
				 "chmod o-w it"
			       : "anybody can replace files in it: 'run' refuses it as a "
				 "lockspace: "
				 "chmod o-w it");
	else if ((info->st_mode & S_IWGRP) && !sticky)
		findings_add(findings, FINDING_WARNING,
			"its group (gid %u) can replace lock files in it: chmod g-w it, or +t",
			info->st_gid);
	if (info->st_uid != 0 && info->st_uid != self)
		findings_add(findings, FINDING_WARNING,
			"it belongs to uid %u, who can replace lock files in it", info->st_uid);
	return sticky || !(info->st_mode & S_IWOTH);
}
