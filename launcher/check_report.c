/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/check_report.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sysexits.h>

#include "base/cleanup.h"
#include "launcher/check_finding.h"
#include "launcher/check_warnings.h"
#include "launcher/exit_status.h"
#include "launcher/vm_around.h"
#include "locking/lock_manager.h"

const char *check_start_name(const struct preparation *p)
{
	if (p->plan.incoming)
		return "incoming";
	return p->plan.verified ? "verified" : "direct";
}

/* Of @ret->resource. */
static int look(const struct preparation *p, const struct lock_params *params,
	struct check_finding *ret, struct error *err)
{
	struct lock_look look = { .params = params, .resource = ret->resource, .to_lock = true };
	int code;

	ret->image = disks_find_image(&p->disks, ret->resource);
	look.fd = ret->image ? ret->image->fd : -1;
	code = lock_manager_look_at(p->driver, &look, &ret->view, err);
	ret->looked = code >= 0;
	if (!ret->looked)
		return code;
	ret->is_free = !ret->view.busy;
	ret->host_only = ret->view.id.ino == RESOURCE_INO_DEVICE && !p->options.lockspace &&
			 !p->options.leases.n && strcmp(p->options.lock, "file") == 0;
	return 0;
}

/* What a look at a disk has failed with first; else whether all is free. */
static int look_at_all(struct check_findings *findings)
{
	const struct preparation *p = findings->preparation;
	struct lock_params params = { 0 };
	int status = 0;
	bool busy = false;
	size_t i;

	options_fill_lock_params(&p->options, &params);
	for (i = 0; i < findings->n; i++) {
		struct error err = { 0 };
		int ret;

		findings->items[i].resource = &p->disks.set.items[i];
		ret = look(p, &params, &findings->items[i], &err);
		if (ret < 0 && !status)
			status = exit_failure(ret, &err);
		busy |= !findings->items[i].is_free;
	}
	return !status && busy ? EX_TEMPFAIL : status;
}

static void name_holders(struct check_findings *findings)
{
	_cleanup_(vm_around_finish) struct vm_around around = { 0 };
	size_t i;

	for (i = 0; i < findings->n; i++) {
		struct lock_view *view = &findings->items[i].view;

		if (findings->items[i].looked && !findings->items[i].is_free)
			vm_around_name_holder(view, vm_around_find(&around, view));
	}
}

int check_report(const struct preparation *p)
{
	struct check_findings findings = { .preparation = p, .n = p->disks.set.n };
	struct error err = { 0 };
	int status;

	findings.items = calloc(findings.n + 1, sizeof(*findings.items));
	if (!findings.items || check_warnings(p, &findings.warnings) < 0) {
		free(findings.items);
		return exit_failure(error_set(&err, -ENOMEM, "out of memory"), &err);
	}
	status = look_at_all(&findings);
	name_holders(&findings);
	if (p->options.json)
		check_print_json(&findings);
	else
		check_print_text(&findings);
	strv_finish(&findings.warnings);
	free(findings.items);
	return status;
}
