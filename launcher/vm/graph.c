/* SPDX-License-Identifier: LGPL-2.1-or-later */
#include "launcher/vm/graph.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/cleanup.h"
#include "base/log.h"
#include "launcher/vm/block_nodes.h"
#include "launcher/vm/locks.h"
#include "launcher/vm/mapped_files.h"
#include "launcher/vm/monitor.h"

/* Between a look and the lock a name may come to lead elsewhere: so it is looked once more. */
#define LOOKS_MAX 3
#define TOLD_MAX  8 /* by name, of what is not locked */

struct check {
	struct vm *vm;
	graph_fn fn;
	unsigned looks;
	bool again;                       /* QEMU was asked a second time, in this look */
	const char *const *device_places; /* which to ask next; NULL: none */
	struct resource_set missing;
	struct resource_set mapped; /* not locked, or not known to be other VMs' too */
};

static void check_end(struct check *check, int result, const char *words)
{
	struct vm *vm = check->vm;
	graph_fn fn = check->fn;

	resource_set_finish(&check->missing);
	resource_set_finish(&check->mapped);
	free(check);
	fn(vm, result, words);
}

static void look(struct check *check);

/* It is open, and not locked: that is as if somebody else had it. */
static void end_unlocked(struct check *check, const char *why)
{
	struct error err = { 0 };

	error_set(
		&err, 0, "%s is open and cannot be locked: %s", check->missing.items[0].path, why);
	check_end(check, -EBUSY, err.text);
}

static void on_attached(void *data, const struct locks_result *result)
{
	struct check *check = data;

	if (result->code == LOCK_BUSY || result->code == -ECONNRESET || result->code == -ENOTCONN) {
		check_end(check, result->code, result->words);
		return;
	}
	if (result->code != 0) {
		end_unlocked(check, result->words);
		return;
	}
	resource_set_finish(&check->missing);
	resource_set_finish(&check->mapped);
	look(check);
}

static void report_missing(const struct resource_set *missing)
{
	size_t i;

	for (i = 0; i < missing->n; i++)
		log_info("%s (%s) is open and was not locked: locking it", missing->items[i].path,
			missing->items[i].origin);
}

static void lock_missing(struct check *check)
{
	if (check->missing.n == 0 || !vm_has_locks(check->vm)) {
		check_end(check, 0, "");
	} else if (check->looks == LOOKS_MAX) {
		end_unlocked(check, "again and again it is another file");
	} else {
		report_missing(&check->missing);
		locks_attach(check->vm, &check->missing, on_attached, check);
	}
}

/* What is written behind the block layer cannot be waited for, nor flushed. */
static int keep_mapped(struct check *check)
{
	struct error why = { 0 };
	size_t i;
	int ret = 0;

	for (i = 0; ret == 0 && i < check->mapped.n; i++) {
		const struct resource *file = &check->mapped.items[i];
		const struct resource *locked =
			resource_set_find(&check->vm->state.resources, file);

		error_set(&why, 0, "%s is mapped as memory of the guest", file->path);
		vm_pin(check->vm, why.text);
		if (!locked || locked->mode == RESOURCE_READER)
			ret = resource_set_add(&check->missing, file, NULL);
	}
	return ret;
}

/* An ivshmem device's memory is there to be shared with other VMs. */
static bool has_shared_memory(json_t *devices)
{
	const char *type;
	json_t *device;
	size_t i;

	json_array_foreach (devices, i, device) {
		type = json_string_value(json_object_get(device, "type"));
		if (type && strncmp(type, "child<ivshmem", 13) == 0)
			return true;
	}
	return false;
}

static void ask_devices(struct check *check);

static void on_devices(void *data, const struct qmp_reply *reply)
{
	struct check *check = data;

	if (reply->result < 0) {
		check_end(check, reply->result, reply->words);
	} else if (has_shared_memory(reply->value)) {
		log_info("%s is memory that VMs share: it is not locked",
			check->mapped.items[0].path);
		lock_missing(check);
	} else {
		ask_devices(check);
	}
}

static void ask_devices(struct check *check)
{
	if (!*check->device_places) {
		if (keep_mapped(check) < 0)
			check_end(check, -ENOMEM, "out of memory");
		else
			lock_missing(check);
		return;
	}
	monitor_call(
		check->vm, &(struct monitor_call){
				   .command = "qom-list",
				   .arguments = json_pack("{s:s}", "path", *check->device_places++),
				   .fd = -1,
				   .fn = on_devices,
				   .data = check,
			   });
}

/* What cannot be told is a warning, or an error for who wants every image locked. */
static int judge_problems(const struct vm *vm, const struct strv *problems, struct error *err)
{
	size_t i, more = problems->n > TOLD_MAX ? problems->n - TOLD_MAX : 0;

	if (problems->n && vm->plan->options->require_locks)
		return error_set(err, -ENODATA, "%s", problems->items[0]);
	for (i = 0; i < problems->n - more; i++)
		log_warning("%s: it is not locked", problems->items[i]);
	if (more)
		log_warning("%zu more that QEMU has open are not locked", more);
	return 0;
}

/* Compare, now that QEMU has said what it has. @nodes NULL: it does not say. */
static int compare(struct check *check, json_t *nodes, struct strv *problems, struct error *err)
{
	struct vm *vm = check->vm;
	struct block_nodes_query query = {
		.nodes = nodes,
		.pid = vm->child.pid,
		.directory = vm->plan->directory,
		.locked = &vm->state.resources,
		.readers = vm->plan->options->readonly_locks,
	};
	int ret = block_nodes_missing(&query, &check->missing, problems, err);

	return ret < 0 ? ret : mapped_files_find(query.pid, &check->mapped, err);
}

static void ask(struct check *check);

/*
 * A QEMU that is told to quit closes its images between its answer and our look,
 * and does not answer any more. So nothing is made of what is found only once.
 */
static void ask_again(struct check *check)
{
	check->again = true;
	resource_set_finish(&check->missing);
	resource_set_finish(&check->mapped);
	ask(check);
}

/*
 * A guest that runs already is not stopped for a question that QEMU does not answer.
 * With --preconfig QEMU is asked once more before the guest runs.
 */
static bool may_do_without(const struct vm *vm)
{
	if (vm->sup != SUP_BOOTING)
		return false;
	return vm->plan->verified ? vm->plan->preconfig : !vm->plan->options->require_locks;
}

static void on_nodes(void *data, const struct qmp_reply *reply)
{
	static const char *const places[] = { "/machine/peripheral", "/machine/peripheral-anon",
		NULL };
	struct check *check = data;
	_cleanup_(strv_finish) struct strv problems = { 0 };
	struct error err = { 0 };
	int ret;

	if (reply->result < 0 || (reply->result > 0 && !may_do_without(check->vm))) {
		check_end(check, reply->result < 0 ? reply->result : -EIO, reply->words);
		return;
	}
	if (reply->result == 0 && !json_is_array(reply->value)) {
		check_end(check, -EPROTO, "QEMU's answer about its block graph is not understood");
		return;
	}
	if (reply->result > 0 && !check->again)
		log_info("QEMU does not tell its block graph, its descriptors must do: %s",
			reply->words);
	ret = compare(check, reply->value, &problems, &err);
	if (!check->again && (ret < 0 || problems.n || check->missing.n)) {
		ask_again(check);
		return;
	}
	if (ret == 0)
		ret = judge_problems(check->vm, &problems, &err);
	check->device_places = places;
	if (ret < 0)
		check_end(check, ret, err.text);
	else if (check->mapped.n)
		ask_devices(check);
	else
		lock_missing(check);
}

static void ask(struct check *check)
{
	monitor_call(check->vm, &(struct monitor_call){
					.command = "query-named-block-nodes",
					.arguments = json_pack("{s:b}", "flat", 1),
					.fd = -1,
					.fn = on_nodes,
					.data = check,
				});
}

static void look(struct check *check)
{
	check->looks++;
	check->again = false;
	ask(check);
}

void graph_check(struct vm *vm, graph_fn fn)
{
	struct check *check = calloc(1, sizeof(*check));

	if (!check) {
		fn(vm, -ENOMEM, "out of memory");
		return;
	}
	*check = (struct check){ .vm = vm, .fn = fn };
	look(check);
}
