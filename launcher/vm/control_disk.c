/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/control_disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "launcher/disks/disks.h"
#include "launcher/vm/block_nodes.h"
#include "launcher/vm/control.h"
#include "launcher/vm/control_goal.h"
#include "launcher/vm/locks_job.h"
#include "launcher/vm/monitor.h"

/*
 * The images of the disk are found on the lock thread (reading a header may
 * hang as any lock call may), then locked in a second job.
 */
struct disk_call {
	struct vm *vm;
	struct qmp_request *request;
	struct resource_set images;
	const char *what;
};

static void call_free(struct disk_call *call)
{
	resource_set_finish(&call->images);
	free(call);
}

static void on_done(void *data, const struct locks_result *result)
{
	struct disk_call *call = data;
	size_t i;

	if (result->code != 0) {
		qmp_request_fail(call->request, result->code == LOCK_BUSY ? "VmlatchBusy" : NULL,
			"%s", result->words);
	} else {
		for (i = 0; i < call->images.n; i++)
			control_emit_resource(call->vm, call->what, &call->images.items[i]);
		qmp_request_reply(call->request, NULL);
	}
	call_free(call);
}

static int run_find(struct locks_job *job, struct error *err)
{
	struct disks_params params = {
		.readonly_locks = job->vm->plan->options->readonly_locks,
		.credentials = job->vm->plan->credentials,
	};
	_cleanup_(disks_finish) struct disks disks = { 0 };
	int ret = disks_from_path(job->text, RESOURCE_EXCLUSIVE, &params, &disks, err);

	if (ret < 0)
		return ret;
	job->images = disks.set;
	disks.set = (struct resource_set){ 0 };
	return 0;
}

static void done_find(struct locks_job *job, int result, const struct error *err)
{
	struct disk_call *call = job->data;

	if (result < 0) {
		qmp_request_fail(call->request, NULL, "%s", err->text);
		call_free(call);
		return;
	}
	call->images = job->images;
	job->images = (struct resource_set){ 0 };
	locks_attach(job->vm, &call->images, on_done, call);
}

static const char *path_argument(struct qmp_request *request)
{
	json_t *arguments = qmp_request_arguments(request);
	const char *path = json_string_value(json_object_get(arguments, "path"));

	if (strcmp(json_string_value(json_object_get(arguments, "kind")), "disk") != 0)
		qmp_request_fail(request, NULL, "only a disk can be attached: kind must be 'disk'");
	else if (path[0] != '/')
		qmp_request_fail(request, NULL, "the path '%s' is not absolute", path);
	else
		return path;
	return NULL;
}

static void attach_now(struct vm *vm, struct qmp_request *request)
{
	const char *path = path_argument(request);
	struct locks_job job = { .vm = vm, .run = run_find, .done = done_find };
	struct disk_call *call;

	if (!path)
		return;
	call = calloc(1, sizeof(*call));
	job.text = strdup(path);
	job.data = call;
	if (call)
		*call = (struct disk_call){ .vm = vm, .request = request, .what = "attached" };
	if (call && job.text && locks_job_submit(&job) == 0)
		return;
	free(job.text);
	free(call);
	qmp_request_fail(request, NULL, "out of memory");
}

/* A disk that QEMU still uses keeps its lock: the guest could go on writing. */
static void on_nodes(void *data, const struct qmp_reply *reply)
{
	struct disk_call *call = data;
	struct vm *vm = call->vm;
	const struct resource *image = &call->images.items[0];
	const char *node;

	if (reply->result != 0) {
		qmp_request_fail(call->request, NULL, "whether QEMU still uses %s is not known: %s",
			image->path, reply->words);
		call_free(call);
		return;
	}
	node = block_nodes_using(reply->value, vm->child.pid, &image->id);
	if (node) {
		qmp_request_fail(call->request, NULL,
			"QEMU still uses %s (block node '%s'): take it out of QEMU first",
			image->path, node);
		call_free(call);
		return;
	}
	locks_detach(vm, &call->images, on_done, call);
}

/* Of what is attached, what this path names; its backing files may serve other disks. */
static void detach_now(struct vm *vm, struct qmp_request *request)
{
	const char *path = path_argument(request);
	struct disk_call *call;
	size_t i;

	if (!path)
		return;
	for (i = 0; i < vm->state.resources.n; i++) {
		if (strcmp(vm->state.resources.items[i].path, path) == 0)
			break;
	}
	if (i == vm->state.resources.n) { /* not attached: nothing to do */
		qmp_request_reply(request, NULL);
		return;
	}
	call = calloc(1, sizeof(*call));
	if (!call || resource_set_add(&call->images, &vm->state.resources.items[i], NULL) < 0) {
		free(call);
		qmp_request_fail(request, NULL, "out of memory");
		return;
	}
	call->vm = vm;
	call->request = request;
	call->what = "detached";
	if (vm->state.frozen) {
		qmp_request_fail(request, NULL, "QEMU is frozen: what it uses cannot be asked");
		call_free(call);
		return;
	}
	monitor_call(vm, &(struct monitor_call){ .command = "query-named-block-nodes",
				 .arguments = json_pack("{s:b}", "flat", 1),
				 .fd = -1,
				 .fn = on_nodes,
				 .data = call });
}

void control_attach(struct vm *vm, struct qmp_request *request)
{
	control_wait(vm, request, GOAL_SETTLED, attach_now);
}

void control_detach(struct vm *vm, struct qmp_request *request)
{
	control_wait(vm, request, GOAL_SETTLED, detach_now);
}
