/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "base/str.h"
#include "launcher/option_table.h"

/* What stands behind a verb (of all but run and check, which have QEMU behind them). */
struct verb_args {
	struct strv operands;
	bool json;
	bool watch;
	bool follow;
	bool force_stale;
	bool readonly;
	char *lockspace; /* absolute; NULL: none */
	bool lockspace_by_identity;
	int64_t timeout_ms;
	int64_t powerdown_ms; /* 0: the power button is left alone */
	uint64_t since;
};

/* The rows of the verbs' options. */
extern const struct option_table json_options, who_options, list_options, events_options,
	resume_options, stop_options, attach_options, doctor_options;

/* 0 or -errno with a sentence and status 64. */
int verb_args_parse(char **argv, struct verb_args *ret, struct error *err);
void verb_args_finish(struct verb_args *args);
