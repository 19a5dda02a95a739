/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/graph.h"

#include <errno.h>
#include <stdlib.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/vm/block_nodes.h"
#include "launcher/vm/locks.h"
#include "launcher/vm/monitor.h"

struct check {
	struct vm *vm;
	graph_fn fn;
};

static void check_end(struct check *check, int result, const char *words)
{
	struct vm *vm = check->vm;
	graph_fn fn = check->fn;

	free(check);
	fn(vm, result, words);
}

static void on_attached(void *data, const struct locks_result *result)
{
	check_end(data, result->code, result->words);
}

static void report_missing(const struct resource_set *missing)
{
	size_t i;

	for (i = 0; i < missing->n; i++)
		log_info("%s (%s) is open and was not locked: locking it", missing->items[i].path,
			missing->items[i].origin);
}

/* What cannot be told is a warning, or an error for who wants every image locked. */
static int judge_problems(const struct vm *vm, const struct strv *problems, struct error *err)
{
	size_t i;

	for (i = 0; i < problems->n; i++) {
		if (vm->plan->options->require_locks)
			return error_set(err, -ENODATA, "%s", problems->items[i]);
		log_warning("%s: it is not locked", problems->items[i]);
	}
	return 0;
}

static void on_nodes(void *data, const struct qmp_reply *reply)
{
	_cleanup_(resource_set_finish) struct resource_set missing = { 0 };
	_cleanup_(strv_finish) struct strv problems = { 0 };
	struct check *check = data;
	struct block_nodes_query query = {
		.nodes = reply->result == 0 ? reply->value : NULL,
		.pid = check->vm->child.pid,
		.directory = check->vm->plan->daemonizes ? check->vm->plan->directory : NULL,
		.locked = &check->vm->state.resources,
		.readers = check->vm->plan->options->readonly_locks,
	};
	struct error err = { 0 };
	int ret;

	if (reply->result < 0 || (reply->result > 0 && check->vm->plan->options->require_locks)) {
		check_end(check, reply->result < 0 ? reply->result : -EIO, reply->words);
		return;
	}
	if (reply->result > 0) /* with --preconfig, for one */
		log_info("QEMU does not tell its block graph, its descriptors must do: %s",
			reply->words);
	ret = block_nodes_missing(&query, &missing, &problems, &err);
	if (ret == 0)
		ret = judge_problems(check->vm, &problems, &err);
	if (ret < 0 || missing.n == 0 || !vm_has_locks(check->vm)) {
		check_end(check, ret, err.text);
		return;
	}
	report_missing(&missing);
	locks_attach(check->vm, &missing, on_attached, check);
}

void graph_check(struct vm *vm, graph_fn fn)
{
	struct check *check = calloc(1, sizeof(*check));

	if (!check) {
		fn(vm, -ENOMEM, "out of memory");
		return;
	}
	*check = (struct check){ .vm = vm, .fn = fn };
	monitor_call(vm, &(struct monitor_call){
				 .command = "query-named-block-nodes",
				 .arguments = json_pack("{s:b}", "flat", 1),
				 .fd = -1,
				 .fn = on_nodes,
				 .data = check,
			 });
}
