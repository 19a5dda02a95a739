/* SPDX-License-Identifier: LGPL-2.1-or-later */
#pragma once

#include "launcher/check_explain.h"
#include "launcher/prepare.h"

/* One resource and what a look at it has told. */
struct check_finding {
	const struct resource *resource;
	const struct disk_image *image; /* NULL: nothing more is known */
	struct lock_view view;
	bool looked;    /* else it cannot be locked */
	bool host_only; /* other hosts do not see the lock */
	bool is_free;   /* for this VM, in this mode */
};

struct check_findings {
	const struct preparation *preparation;
	struct check_finding *items;
	size_t n;
	struct strv warnings; /* the preparation's are not among them */
};

/* What 'check' prints: for people, and with --json. Short of memory the JSON is not whole. */
void check_print_text(const struct check_findings *findings);
void check_print_json(const struct check_findings *findings);

/* "verified", "direct" or "incoming": how the guest would come to run. */
const char *check_start_name(const struct preparation *preparation);
