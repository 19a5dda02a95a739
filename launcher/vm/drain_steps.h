/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "launcher/vm/vm.h"

/*
 * Within the drain: what QEMU is asked before the locks may go (drain_steps.c),
 * and who asks it and hears the answers (drain.c).
 */

enum verdict { VERDICT_NEXT, VERDICT_KEEP, VERDICT_RUNS };

#define DRAIN_N_STEPS 7

struct drain {
	struct vm *vm;
	uint64_t token;
	size_t step;      /* to be asked next */
	unsigned holders; /* each answer to come, and who is at work on it; the last one frees it */
	bool over;        /* answers that still come do not count */
	bool due_later;   /* KEEP, until --release-after is over */
	char why[512];    /* KEEP */
	struct question {
		struct drain *drain;
		const struct drain_step *step;
	} questions[DRAIN_N_STEPS];
};

/*
 * All are sent after STOP was received, and QEMU carries out one after the other.
 * So those that change nothing go out together, and only their answers are judged
 * in order; what is @delicate waits until every answer before it was good.
 */
struct drain_step {
	const char *command;
	enum verdict (*judge)(struct drain *drain, json_t *ret);
	bool (*needed)(const struct drain *drain); /* NULL: always */
	json_t *(*arguments)(void);
	bool delicate;
};

extern const struct drain_step drain_steps[DRAIN_N_STEPS];

/* Note why the locks stay; returns VERDICT_KEEP. */
enum verdict drain_keep(struct drain *drain, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
