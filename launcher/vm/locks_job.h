/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/vm/locks.h"

/*
 * One lock call on its way to the lock thread and back. run() is on the thread
 * and may touch the domain's lock object and the job, nothing else of the VM.
 */
struct locks_job {
	struct vm *vm;
	int (*run)(struct locks_job *job, struct error *err);
	void (*done)(struct locks_job *job, int result, const struct error *err);
	void (*late)(struct locks_job *job);
	uint64_t deadline_ms;

	/* what goes in */
	uint64_t token;
	bool force_stale;
	bool unused; /* the guest has not run since the locks were taken */
	bool readonly;
	pid_t pid;
	uint64_t start_time;
	struct resource_set images;
	locks_fn fn;
	void *data;

	/* what comes out; text goes in for an unlock */
	char *text;
	struct lock_conflict conflict;
	struct life_lines lines;
	int lines_result;              /* of copying them: what is locked stays locked */
	struct resource_set resources; /* what is attached now */
	int lost_fd;                   /* after what may have brought one, else 0 */
};

/* Queue a copy of @job, which owns what @job owned. 0 or -errno: then the caller still does. */
int locks_job_submit(const struct locks_job *job);

/* Tell who has asked for it, if anybody. */
void locks_job_answer(const struct locks_job *job, int code, const char *words);

/* Queue it, or answer that there is no memory, and let @job's images go. */
void locks_job_submit_or_fail(struct locks_job *job);
