/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdint.h>

#include "base/process.h"
#include "launcher/doctor/lock_trial.h"
#include "launcher/doctor/mount_table.h"

/*
 * What a directory's file system really does, tried on a file of ours in it, which
 * is removed again.
 */
#define PROBE_NAME_SIZE 64

/* Nobody can guess them: a file that is there under such a name is ours. */
struct probe_names {
	char token[UUID_SIZE];
	char name[PROBE_NAME_SIZE];
	char other[PROBE_NAME_SIZE]; /* what it is renamed to, and back */
};
int probe_names_make(struct probe_names *names); /* 0 or -errno */

/* For whoever knows that the process that probed is dead. */
void probe_remove(const char *dir, const struct probe_names *names);

#define PROBE_ATTRIBUTE_MAX 65536 /* the kernel's own limit */

struct probe_result {
	int code;                 /* -errno: no file could be made, and nothing is known */
	int write_code;           /* 0 or -errno: it could not be written to */
	struct lock_trials locks; /* between two processes */
	char *second_path;        /* the directory through a second mount; NULL: there is none */
	struct lock_trials second;
	int attribute_code;       /* 0 or -errno */
	uint64_t attribute_bytes; /* the longest that went, of those that were tried */
	int64_t mtime_ns;         /* between two times that differ; 0: it did not move */
	int inotify_code;         /* 0 or -errno */
	bool inotify_sees;        /* files made, renamed and removed */
};

struct probe_place {
	const char *path; /* canonical */
	int fd;
	const struct mount_table *mounts;
	const struct mount *mount; /* NULL: not known */
};

void probe_run(
	const struct probe_place *place, const struct probe_names *names, struct probe_result *ret);
void probe_result_finish(struct probe_result *result);
