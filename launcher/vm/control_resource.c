/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/control_resource.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/cleanup.h"
#include "launcher/vm/block_nodes.h"
#include "launcher/vm/control.h"
#include "launcher/vm/control_goal.h"
#include "launcher/vm/find_resource.h"
#include "launcher/vm/monitor.h"

/*
 * The images of the disk are found on the lock thread (reading a header may
 * hang as any lock call may), then locked in a second job.
 */
struct change_call {
	struct vm *vm;
	struct qmp_request *request;
	struct resource_set images;
	const char *what;
};

static void call_free(struct change_call *call)
{
	resource_set_finish(&call->images);
	free(call);
}

static void on_done(void *data, const struct locks_result *result)
{
	struct change_call *call = data;
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

static void done_find_images(struct locks_job *job, int result, const struct error *err)
{
	struct change_call *call = job->data;

	if (result < 0) {
		qmp_request_fail(call->request, NULL, "%s", err->text);
		call_free(call);
		return;
	}
	call->images = job->images;
	job->images = (struct resource_set){ 0 };
	locks_attach(job->vm, &call->images, on_done, call);
}

/* A disk that QEMU still uses keeps its lock: the guest could go on writing. */
static void on_nodes(void *data, const struct qmp_reply *reply)
{
	struct change_call *call = data;
	struct vm *vm = call->vm;
	const struct resource *image = &call->images.items[0];
	const char *node;

	if (reply->result != 0) {
		qmp_request_fail(call->request, NULL, "whether QEMU still uses %s is not known: %s",
			image->path, reply->words);
		call_free(call);
		return;
	}
	node = block_nodes_using(reply->value, vm->child.pid, image);
	if (node) {
		qmp_request_fail(call->request, NULL,
			"QEMU still uses %s (block node '%s'): take it out of QEMU first",
			image->path, node);
		call_free(call);
		return;
	}
	locks_detach(vm, &call->images, on_done, call);
}

/* QEMU knows nothing of leases. */
static void done_find_attached_lease(struct locks_job *job, int result, const struct error *err)
{
	struct change_call *call = job->data;

	call->images = job->images;
	job->images = (struct resource_set){ 0 };
	if (result == 0 && call->images.n) {
		locks_detach(job->vm, &call->images, on_done, call);
		return;
	}
	if (result < 0)
		qmp_request_fail(call->request, NULL, "%s", err->text);
	else
		qmp_request_reply(call->request, NULL); /* not attached: nothing to do */
	call_free(call);
}

static void done_find_attached(struct locks_job *job, int result, const struct error *err)
{
	struct change_call *call = job->data;

	(void)err;
	call->images = job->images;
	job->images = (struct resource_set){ 0 };
	if (result == 0 && call->images.n && !job->vm->state.frozen) {
		monitor_call(job->vm, &(struct monitor_call){ .command = "query-named-block-nodes",
					      .arguments = json_pack("{s:b}", "flat", 1),
					      .fd = -1,
					      .fn = on_nodes,
					      .data = call });
		return;
	}
	if (result < 0)
		qmp_request_fail(call->request, NULL, "out of memory");
	else if (call->images.n)
		qmp_request_fail(
			call->request, NULL, "QEMU is frozen: what it uses cannot be asked");
	else
		qmp_request_reply(call->request, NULL); /* not attached: nothing to do */
	call_free(call);
}

/* What can be attached and detached, and how it is found: each a job of the lock thread. */
static const struct change_kind {
	const char *name;
	struct {
		int (*run)(struct locks_job *job, struct error *err);
		void (*done)(struct locks_job *job, int result, const struct error *err);
	} attach, detach;
	bool is_path;
} kinds[] = {
	{ "disk", { find_disk, done_find_images }, { find_attached_image, done_find_attached },
		true },
	{ "image", { find_image, done_find_images }, { find_attached_image, done_find_attached },
		true },
	{ "lease", { find_lease, done_find_images },
		{ find_attached_lease, done_find_attached_lease }, false },
};

/* The kind that the request names, or NULL: it has been answered with what is wrong. */
static const struct change_kind *kind_argument(struct qmp_request *request, const char **path)
{
	json_t *arguments = qmp_request_arguments(request);
	const char *name = json_string_value(json_object_get(arguments, "kind"));
	size_t i;

	*path = json_string_value(json_object_get(arguments, "path"));
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		if (strcmp(kinds[i].name, name) != 0)
			continue;
		if (!kinds[i].is_path || (*path)[0] == '/')
			return &kinds[i];
		qmp_request_fail(request, NULL, "the path '%s' is not absolute", *path);
		return NULL;
	}
	qmp_request_fail(request, NULL, "kind must be disk, image or lease, not '%s'", name);
	return NULL;
}

static void start_call(struct vm *vm, struct qmp_request *request, bool attach)
{
	json_t *arguments = qmp_request_arguments(request);
	struct locks_job job = { .vm = vm };
	struct change_call *call;
	const char *path;
	const struct change_kind *kind = kind_argument(request, &path);

	if (!kind)
		return;
	job.run = attach ? kind->attach.run : kind->detach.run;
	job.done = attach ? kind->attach.done : kind->detach.done;
	job.readonly = json_is_true(json_object_get(arguments, "readonly"));
	job.text = strdup(path);
	job.data = call = calloc(1, sizeof(*call));
	if (call)
		*call = (struct change_call){
			.vm = vm,
			.request = request,
			.what = attach ? "attached" : "detached",
		};
	if (call && job.text && locks_job_submit(&job) == 0)
		return;
	free(job.text);
	free(call);
	qmp_request_fail(request, NULL, "out of memory");
}

static void attach_now(struct vm *vm, struct qmp_request *request)
{
	start_call(vm, request, true);
}

static void detach_now(struct vm *vm, struct qmp_request *request)
{
	start_call(vm, request, false);
}

void control_attach(struct vm *vm, struct qmp_request *request)
{
	control_wait(vm, request, GOAL_SETTLED, attach_now);
}

void control_detach(struct vm *vm, struct qmp_request *request)
{
	control_wait(vm, request, GOAL_SETTLED, detach_now);
}
